"""The shell of receive_topic: an event of Kafka in, a partial batch response out."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from desireline.adapters.metrics import EmfMetrics
from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent, Quarantined
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_topic import ReceiveTopic
from desireline.receive.senders._topic import topic_senders
from desireline.records import Outgoing, Record
from receive_topic import handler
from receive_topic.settings import Settings
from tests.functional.lambda_side import Context, kafka_event

AT = 1_772_409_599_999
PLAN = load_plan()
SECRET = "ada@acme.test"


class Brokers:
    """Clock and producer; what is flushed is durable."""

    def __init__(self) -> None:
        self.pending: list[Outgoing] = []
        self.durable: list[Outgoing] = []
        self.down = False

    def now(self) -> int:
        return AT

    def produce(self, record: Outgoing) -> None:
        self.pending.append(record)

    def flush(self, timeout: float) -> None:
        if self.down:
            self.pending.clear()
            raise UnavailableError("no broker")
        self.durable += self.pending
        self.pending = []

    def of(self, topic: Topic) -> list[Outgoing]:
        return [one for one in self.durable if one.topic == topic]


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    receive = ReceiveTopic(
        sources={"company.events": topic_senders(PLAN)["company_events"]},
        mapper=EventMapper.with_secret(PLAN, b"secret"),
        producer=brokers,
        clock=brokers,
        wall=brokers,
        metrics=EmfMetrics(handler.metrics),
    )
    monkeypatch.setattr(handler, "use_case", lambda: receive)
    return brokers


def event(*values: Any, source: str = "aws:kafka") -> dict[str, Any]:
    key, headers = SECRET.encode(), {"mail": SECRET.encode()}
    return kafka_event(
        *(
            Record(
                "company.events", 1, n, AT, key, None if value is None else _bytes(value), headers
            )
            for n, value in enumerate(values)
        ),
        source=source,
    )


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def created(number: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "type": "project.created",
        "occurred_at": "2026-03-01T12:00:00Z",
        "user": {"id": "u1", "email": SECRET},
        "data": {"name": "One"},
    }


def invoke(given: dict[str, Any]) -> Any:
    return handler.handle(given, cast("Any", Context()))


@pytest.mark.parametrize("source", ["aws:kafka", "SelfManagedKafka"])
def test_a_batch_is_taken_from_any_cluster(brokers: Brokers, source: str) -> None:
    answer = invoke(event(created(1), None, b"broken", created(2), source=source))

    assert answer == {"batchItemFailures": []}
    events = [CanonicalEvent.decode(one.value) for one in brokers.of(Topic.EVENTS_RECEIVED)]
    assert [one.name for one in events] == ["project_created", "project_created"]
    assert [one.key for one in brokers.of(Topic.EVENTS_RECEIVED)] == [
        one.fragment for one in events
    ]
    assert len(brokers.of(Topic.WEBHOOKS_RAW)) == 3
    [item] = [Quarantined.decode(one.value) for one in brokers.of(Topic.EVENTS_QUARANTINED)]
    assert (item.source, item.reason) == ("company_events", "not_json")


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_without_kafka_the_whole_batch_comes_again(brokers: Brokers) -> None:
    brokers.down = True
    with pytest.raises(UnavailableError):
        invoke(event(created(1)))
    brokers.down = False
    invoke(event(created(1)))
    assert len(brokers.of(Topic.EVENTS_RECEIVED)) == 1


def test_no_value_header_or_key_is_logged(
    brokers: Brokers, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    invoke(event(created(1), {**created(2), "type": SECRET}, SECRET.encode()))
    said = capsys.readouterr()
    records = [str(record.__dict__) for record in caplog.records]
    assert any("quarantined" in record for record in records)
    assert SECRET not in "".join([said.out, said.err, *records])


def test_its_settings_name_the_source_of_each_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DEPLOYMENT": "d",
        "AWS_REGION": "us-east-1",
        "KAFKA_BOOTSTRAP": "b:9098",
        "KAFKA_AUTH": "iam",
        "TABLES": '{"admission": "d-admission"}',
        "TOPICS": '{"company.events": "company_events"}',
    }.items():
        monkeypatch.setenv(name, value)
    assert Settings().topics == {"company.events": "company_events"}
