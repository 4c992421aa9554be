"""From counts to dollars: each count at its list price, in the component that it belongs to."""

from __future__ import annotations

import pytest

from desireline_operate.cost.bill import Counted, bill
from desireline_operate.cost.prices import list_prices

MILLION = 1_000_000
GB = 1_000_000_000
MEMORY = {
    "receive_webhook": 1024,
    "receive_topic": 1024,
    "resolve_identity": 1024,
    "publish_changes": 1024,
    "score_journey": 2048,
}


def components(counted: Counted) -> dict[str, float]:
    """Those that cost anything, to a hundredth of a cent."""
    found = bill(counted, list_prices(), MEMORY)
    return {name: round(dollars, 4) for name, dollars in found.items() if dollars}


@pytest.mark.parametrize(
    ("counted", "dollars"),
    [
        (Counted(requests=MILLION), {"http_api": 1.0}),
        (Counted(transitions=1_000), {"step_functions": 0.025}),
        (
            Counted(write_units={"states": MILLION}, read_units={"journeys": 2 * MILLION}),
            {"dynamodb": 0.625 + 0.25},
        ),
        # 20 cents for the invocations; X-Ray traces none that Kafka makes.
        (Counted(invocations={"score_journey": MILLION}), {"lambda": 0.2}),
        # 25 cents for the traces of one in twenty.
        (Counted(invocations={"check_playbook": MILLION}), {"lambda": 0.2, "traces": 0.25}),
        # A flush to Kafka waits 10 ms with a GB.
        (
            Counted(invocations={"receive_webhook": MILLION}),
            {"lambda": round(0.2 + 10_000 * 0.0000133334, 4), "traces": 0.25},
        ),
        # With a GB a function has 1024/1769 of a core, with two more than one.
        (
            Counted(cpu_seconds={"receive_webhook": 10_000}),
            {"lambda": round(17_690_000 / 1024 * 0.0000133334, 4)},
        ),
        (
            Counted(cpu_seconds={"score_journey": 10_000}),
            {"lambda": round(20_000 * 0.0000133334, 4)},
        ),
        # The time that passed here is not billed.
        (Counted(milliseconds={"receive_webhook": MILLION}), {}),
        (Counted(log_bytes={"receive_webhook": 2 * GB}), {"logs": 1.0}),
        (Counted(calls={"s3.PUT": 1_000}), {"archive": 0.005}),
        # What Snowpipe reads is none of ours.
        (Counted(calls={"s3.GET": 1_000, "sqs.ReceiveMessage": 1_000}), {}),
        # A batch of a queue is received and deleted.
        (
            Counted(invocations={"deliver_action": MILLION}),
            {"lambda": 0.2, "traces": 0.25, "messages": 0.8},
        ),
        # A function waits 5 ms for a call, with its own memory.
        (Counted(called={"receive_topic": MILLION}), {"lambda": round(5_000 * 0.0000133334, 4)}),
        (Counted(called={"score_journey": MILLION}), {"lambda": round(10_000 * 0.0000133334, 4)}),
        (Counted(archived_bytes=GB), {"archive": 0.0074}),
        (
            Counted(calls={"sns.Publish": MILLION, "sqs.SendMessage": MILLION}),
            {"messages": 0.9},
        ),
        (
            Counted(calls={"secretsmanager.GetSecretValue": 10_000}),
            {"secrets": 0.05},
        ),
        # A cent to write; a week of the month kept; read by resolve and the archive.
        (
            Counted(kafka_bytes={"events.received": GB}),
            {"kafka": round(0.01 + 0.1 * 7 / 30 + 0.02 * 2 / 3 * 3, 4)},
        ),
    ],
)
def test_each_count_has_its_price(counted: Counted, dollars: dict[str, float]) -> None:
    assert components(counted) == dollars


def test_what_the_launcher_counted_loses_the_deployments_name() -> None:
    usage = {
        "requests": 3,
        "transitions": 0,
        "calls": {"s3.PUT": 1},
        "invocations": {"desireline-dev-receive-webhook": 3},
        "warm": {"desireline-dev-receive-webhook": 2},
        "cpu_seconds": {"desireline-dev-receive-webhook": 0.02},
        "called": {"desireline-dev-receive-webhook": 6},
        "write_units": {"desireline-dev-states": 2.0},
    }

    counted = Counted.of(usage, deployment="desireline-dev", archived_bytes=9)

    assert counted.invocations == {"receive_webhook": 3}
    assert counted.called == {"receive_webhook": 6}
    assert counted.write_units == {"states": 2.0}
    assert (counted.requests, counted.calls, counted.archived_bytes) == (3, {"s3.PUT": 1}, 9)


def test_cold_starts_are_not_priced() -> None:
    usage = {
        **{name: 0 for name in ("requests", "transitions")},
        "calls": {},
        "invocations": {"d-resolve-identity": 12},
        "warm": {"d-resolve-identity": 10},
        "cpu_seconds": {"d-resolve-identity": 0.05},
    }

    counted = Counted.of(usage, deployment="d")

    assert counted.cpu_seconds == {"resolve_identity": pytest.approx(0.06)}
    with pytest.raises(ValueError, match="cold start"):
        Counted.of({**usage, "warm": {}}, deployment="d")


def test_time_of_a_function_of_unknown_memory_is_no_bill() -> None:
    with pytest.raises(KeyError):
        bill(Counted(cpu_seconds={"nobody": 1}), list_prices(), MEMORY)
