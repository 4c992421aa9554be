"""publish_changes' shell: a DynamoDB stream event in, a partial batch response out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from desireline.adapters.dynamodb import item_of
from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.events import ClaimReference, DecisionMade
from desireline.records import Outgoing
from desireline.rows import ClaimRow, DecisionRow, Outcome, Row
from publish_changes import handler
from tests.functional.lambda_side import Context
from tests.worlds.intervening import Counters, SettableClock


class World:
    """Kafka and one queue, each of which may fail."""

    def __init__(self) -> None:
        self.pending: list[Outgoing] = []
        self.records: list[Outgoing] = []
        self.bodies: list[str] = []
        self.broker_fails = self.queue_fails = False

    def produce(self, record: Outgoing) -> None:
        self.pending.append(record)

    def flush(self, timeout: float) -> None:
        if self.broker_fails:
            raise UnavailableError("no broker")
        self.records, self.pending = self.records + self.pending, []

    def put(self, body: str) -> None:
        if self.queue_fails:
            raise UnavailableError("no queue")
        self.bodies.append(body)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    use_case = PublishChanges(
        producer=world,
        queues={"csm_alert": world},
        wall=SettableClock(5),
        metrics=Counters(),
    )
    monkeypatch.setattr(handler, "use_case", lambda: use_case)
    return world


def stream(*changes: tuple[Row | None, Row | None]) -> dict[str, Any]:
    """As Lambda delivers the stream, with new and old images."""
    records = []
    for number, (old, new) in enumerate(changes):
        images: dict[str, Any] = {"SequenceNumber": f"{number}00"}
        if old is not None:
            images["OldImage"] = item_of(old)
        if new is not None:
            images["NewImage"] = item_of(new)
        records.append({"eventSource": "aws:dynamodb", "dynamodb": images})
    return {"Records": records}


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return handler.handle(event, cast(Any, Context()))


def decision() -> DecisionRow:
    return DecisionRow(
        subject="s",
        playbook="p",
        playbook_version=1,
        enrolment="e",
        slot="once",
        step="a",
        action="b",
        phase="gate",
        channel="csm_alert",
        outcome=Outcome.CLAIMED,
        reason="passed",
        evidence={"integration_connected": None},
        at=8,
    )


def claim() -> ClaimRow:
    return ClaimRow(
        subject="s",
        playbook="p",
        playbook_version=1,
        slot="once",
        step="a",
        action="b",
        enrolment="e",
        channel="csm_alert",
        title="t",
        body="b",
        attributes={"severity": "high", "decided": 4},
        decided_at=1,
        not_after=2,
    )


def test_the_rows_of_a_transaction_reach_topic_and_queue(world: World) -> None:
    assert handle(stream((None, decision()), (None, claim()))) == {"batchItemFailures": []}
    (record,) = world.records
    assert record.topic == Topic.DECISIONS_MADE
    assert DecisionMade.decode(record.value).evidence == {"integration_connected": None}
    (body,) = world.bodies
    assert ClaimReference.decode(body.encode()).action == "b"


def test_a_stream_is_taken_up_again_at_its_first_failure(world: World) -> None:
    world.queue_fails = True
    answer = handle(stream((None, decision()), (None, claim()), (None, decision())))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "100"}]}
    assert len(world.records) == 1


def test_what_kafka_did_not_take_comes_again_from_the_start(world: World) -> None:
    world.broker_fails = True
    answer = handle(stream((None, decision()), (None, claim())))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "000"}]}


def test_a_row_that_time_to_live_removed_says_nothing(world: World) -> None:
    assert handle(stream((decision(), None))) == {"batchItemFailures": []}
    assert world.records == []
