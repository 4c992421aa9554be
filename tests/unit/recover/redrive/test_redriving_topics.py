"""Dead letters of Kafka mappings: counted, sent again, marked, seen through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from desireline.contracts import Header, Topic
from desireline.errors import UnavailableError
from desireline.records import Record
from desireline.recover.redrive.follow_up import RecordOutcome
from desireline.recover.redrive.redrive import Order
from desireline.recover.redrive.selection import Fate, Selection
from tests.worlds.redriving import (
    EXHAUSTED,
    NOW,
    REDRIVEN,
    CrashError,
    Scene,
    event,
    fates,
    kafka_object,
    record,
)


def test_a_survey_counts_by_function_reason_version_and_age_and_writes_nothing() -> None:
    """Given two objects, one event of which was counted, when surveyed, then the table says so, and
    neither bucket nor topics changed."""
    scene = Scene()
    scene.give_up(
        kafka_object([record(event(1), 1), record(event(2), 2)]),
        kafka_object([record(event(3), 3)], condition="MaximumRecordAgeExceeded"),
    )
    scene.count(event(2))
    before = dict(scene.files)

    found = scene.redrive.survey(Selection())

    rows = {(g.function, g.topic, g.reason, g.version, g.age): n for g, n in found.groups.items()}
    place = ("desireline-dev-resolve-identity", Topic.EVENTS_RECEIVED)
    version = "schema 1, plan -, code 7"
    assert rows == {
        (*place, EXHAUSTED, version, "< 1 h"): 2,
        (*place, "MaximumRecordAgeExceeded", version, "< 1 h"): 1,
    }
    assert sum(found.folded.values()) == 1
    assert (scene.files, scene.log) == (before, [])


def test_a_record_goes_to_its_topic_with_its_key_and_bytes_and_headers_and_is_marked_so() -> None:
    scene = Scene()
    original = record(event(1), 17, headers={"trace-id": b"\x00\xff", "replay": b"1"})
    scene.give_up(kafka_object([original]))

    scene.run()

    (sent,) = scene.log
    assert (sent.topic, sent.key, sent.value) == (original.topic, original.key, original.value)
    kept = {name: value for name, value in sent.headers.items() if name not in REDRIVEN}
    assert kept == original.headers
    assert sent.headers[Header.REDRIVE_OF] == b"events.received-0@17"
    assert sent.headers[Header.REDRIVE_COUNT] == b"1"
    assert sent.headers[Header.REDRIVE_ID] == b"run-1"


def test_what_was_redriven_is_marked_and_not_sent_again_and_nothing_is_deleted() -> None:
    scene = Scene()
    scene.give_up(kafka_object([record(event(1), 1), record(event(2), 2)]))
    lain = dict(scene.files)
    scene.run()

    found, _ = scene.run()

    assert fates(found) == {Fate.MARKED: 2}
    assert len(scene.log) == 2
    assert lain.items() <= scene.files.items()
    (note,) = map(orjson.loads, scene.notes("redrives/marks/"))
    assert (note["who"], note["why"], note["redrive"]) == ("ada", "fixed", "run-1")


def test_an_object_may_be_redriven_in_part() -> None:
    """Given three records in one object, when runs take one, one and the rest, each goes once."""
    scene = Scene()
    scene.give_up(kafka_object([record(event(n), n) for n in (1, 2, 3)]))

    first, _ = scene.run(ids=frozenset({"event-2"}))
    second, _ = scene.run(limit=1)
    third, _ = scene.run()

    assert fates(first) == {Fate.REDRIVE: 1}
    assert fates(second) == {Fate.REDRIVE: 1, Fate.LATER: 1, Fate.MARKED: 1}
    assert fates(third) == {Fate.REDRIVE: 1, Fate.MARKED: 2}
    assert scene.counts() == 3
    assert len(scene.log) == 3


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"topic": Topic.EVENTS_RECEIVED}, {1, 2, 3}),
        ({"topic": Topic.EVENTS_RESOLVED}, set()),
        ({"function": "resolve_identity"}, {1, 2, 3}),
        ({"function": "score_journey"}, set()),
        ({"since": 1_767_603_600_000}, {2, 3}),
        ({"until": 1_767_603_600_000}, {1}),
        ({"reason": "maximumrecordage"}, {3}),
        ({"ids": frozenset({"event-1", "event-3"})}, {1, 3}),
    ],
)
def test_each_option_selects(selection: dict[str, Any], expected: set[int]) -> None:
    scene = Scene()
    scene.give_up(
        kafka_object([record(event(1), 1)], at="2026-01-05T08:00:00Z"),
        kafka_object([record(event(2), 2)], at="2026-01-05T09:00:00.000Z"),
        kafka_object(
            [record(event(3), 3)], at="2026-01-05T10:00:00Z", condition="MaximumRecordAgeExceeded"
        ),
    )

    found = scene.redrive.survey(Selection(**selection))

    assert {int(one.event.event_id[6:]) for one in found.chosen if one.event} == expected


def test_records_of_a_topic_go_in_the_order_in_which_they_were_written() -> None:
    scene = Scene()
    scene.give_up(
        kafka_object([record(event(9), 9), record(event(10), 10)]),
        kafka_object([record(event(2), 2)]),
    )

    scene.run()

    assert [one.headers[Header.REDRIVE_OF][-2:] for one in scene.log] == [b"@2", b"@9", b"10"]


def test_the_outcome_tells_folded_duplicate_failed_and_not_counted() -> None:
    """Given four records, one counted before, one that fails for good, one that resolve sets into
    quarantine, when redriven, then each is told for what it is and the run is no success."""
    scene = Scene()
    scene.give_up(kafka_object([record(event(n), n) for n in (1, 2, 3, 4)]))
    scene.count(event(2))
    scene.poisoned, scene.ignored = {"event-3"}, {"event-4"}

    _, outcome = scene.run()

    assert outcome.total == {
        RecordOutcome.FOLDED: 1,
        RecordOutcome.DUPLICATE: 1,
        RecordOutcome.FAILED: 1,
        RecordOutcome.NOT_COUNTED: 1,
    }
    assert not outcome.good
    assert scene.counts() == 2


def test_a_consumer_that_does_not_come_is_waited_for_and_told() -> None:
    scene = Scene()
    scene.give_up(kafka_object([record(event(1), 1)]))
    scene.stuck = True

    _, outcome = scene.run(wait=30)

    assert outcome.total == {RecordOutcome.WAITING: 1}
    assert 30 <= scene.slept < 40
    assert not outcome.good


def test_a_third_redrive_needs_force() -> None:
    """Given a record that fails always, when redriven twice, then the third time only by force."""
    scene = Scene()
    scene.give_up(kafka_object([record(event(1), 1)]))
    scene.poisoned = {"event-1"}
    scene.run()
    scene.run()
    assert len(scene.log) == 2

    refused, _ = scene.run()
    assert fates(refused) == {Fate.MARKED: 2, Fate.TIRED: 1}
    assert len(scene.log) == 2

    scene.poisoned = set()
    _, outcome = scene.run(force=True)
    assert outcome.total == {RecordOutcome.FOLDED: 1}
    assert scene.log[-1].headers[Header.REDRIVE_COUNT] == b"3"
    assert scene.log[-1].headers[Header.REDRIVE_OF] == b"events.received-0@1"


def test_the_suppressed_and_what_has_no_value_stay_where_they_are() -> None:
    scene = Scene()
    tombstone = replace(record(event(2), 2), value=None)
    scene.give_up(kafka_object([record(event(1), 1), tombstone, record(event(3), 3)]))
    scene.suppressed = {"event-1"}

    found, _ = scene.run()

    assert fates(found) == {Fate.SUPPRESSED: 1, Fate.EMPTY: 1, Fate.REDRIVE: 1}
    assert [one.headers[Header.REDRIVE_OF][-2:] for one in scene.log] == [b"@3"]


def test_what_two_functions_gave_up_on_is_produced_once_and_marked_for_both() -> None:
    scene = Scene()
    one = record(event(1), 1)
    scene.give_up(
        kafka_object([one]), kafka_object([one], function="desireline-dev-archive-history")
    )

    scene.run()
    found, _ = scene.run()

    assert len(scene.log) == 1
    assert fates(found) == {Fate.MARKED: 2}


def test_a_record_that_cannot_be_read_is_redriven_all_the_same() -> None:
    scene = Scene()
    broken = replace(record(event(1), 1), value=b"\xff{")
    scene.give_up(kafka_object([broken]), b"not JSON", b'{"payload": "{}"}')
    scene.stuck = True

    found, _ = scene.run(wait=0)

    assert scene.log[0].value == b"\xff{"
    assert found.unreadable == ["aws/lambda/mapping/001", "aws/lambda/mapping/002"]


def test_the_rate_is_kept() -> None:
    scene = Scene()
    scene.give_up(kafka_object([record(event(n), n) for n in range(50)]))

    scene.send(scene.redrive.survey(Selection()), rate=10)

    assert 4.5 < scene.slept <= 5


@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize("crash_at", range(1, 9))
def test_interrupted_anywhere_and_run_again_each_event_is_counted_once(
    crash_at: int, afterwards: bool
) -> None:
    """Given eight records of two objects, when the process dies before or after any call and the
    command is repeated, then all eight are counted, each once, and at most a portion went twice."""
    scene = Scene()
    events = [event(n, user=n % 3) for n in range(8)]
    scene.give_up(
        kafka_object([record(one, n) for n, one in enumerate(events[:5])]),
        kafka_object([record(one, n + 5) for n, one in enumerate(events[5:])]),
    )
    scene.crash_at, scene.afterwards = crash_at, afterwards
    found = scene.redrive.survey(Selection())
    with pytest.raises(CrashError):
        scene.redrive.send(found, Order(id="first", requested_by="ada", why="fixed", rate=2))
    scene.crash_at = None

    _, outcome = scene.run(rate=2)
    scene.consume()

    assert outcome.good
    assert scene.counts() == 8
    assert {one.value for one in scene.log} == {one.encode() for one in events}
    assert len(scene.log) <= 10


def test_a_broker_that_does_not_answer_leaves_the_rest_unmarked() -> None:
    scene = Scene()
    scene.give_up(kafka_object([record(event(n), n) for n in range(4)]))
    found = scene.redrive.survey(Selection())
    produce, calls = scene.produce, []

    def once(records: Any, timeout: float) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise UnavailableError("no broker")
        return produce(records, timeout)

    scene.produce = once  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        scene.redrive.send(found, Order(id="first", requested_by="ada", why="fixed", rate=2))

    assert fates(scene.redrive.survey(Selection())) == {Fate.MARKED: 2, Fate.REDRIVE: 2}


def test_somebody_elses_topic_is_not_written_its_records_go_to_the_function() -> None:
    scene = Scene()
    foreign = Record("shop.orders", 3, 5, NOW, b"k", b"v", {})
    scene.give_up(kafka_object([foreign, replace(foreign, offset=6)], function="takes-orders"))
    scene.answer = lambda function, _: {
        "batchItemFailures": [{"itemIdentifier": {"partition": "shop.orders-3", "offset": 6}}]
    }

    _, outcome = scene.run()

    ((function, handed),) = scene.invoked
    assert function == "takes-orders"
    assert handed["eventSource"] == "aws:kafka"
    assert [one["offset"] for one in handed["records"]["shop.orders-3"]] == [5, 6]
    assert outcome.total == {RecordOutcome.PASSED: 1, RecordOutcome.FAILED: 1}
    assert fates(scene.redrive.survey(Selection())) == {Fate.MARKED: 1, Fate.REDRIVE: 1}
    assert scene.log == []
