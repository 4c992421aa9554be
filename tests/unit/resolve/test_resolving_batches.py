"""ResolveIdentity: what becomes of each record of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.contracts import SCHEMA_VERSION, Header, Topic
from desireline.errors import TerminalError, ThrottledError, UnavailableError
from desireline.events import Quarantined, ResolvedEvent
from desireline.records import Outgoing, Record
from desireline.rows import Check, Put, Ref, StateRow, SubjectRow
from tests.worlds.event_streams import START, alias, event, record
from tests.worlds.resolving import Told, resolver


class Logged(Told):
    """Remembers in which order the world was touched."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def produce(self, outgoing: Outgoing) -> None:
        super().produce(outgoing)
        self.log.append("produce")

    def flush(self, timeout: float) -> None:
        super().flush(timeout)
        self.log.append("flush")


class Watched(MemoryStore):
    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def write(self, *writes: Put | Check) -> None:
        super().write(*writes)
        self.log.append("+".join(type(one.row).__name__ for one in writes))


class Requests(MemoryStore):
    """Counts requests to read, and refuses those that `refuse` says."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.refuse = lambda refs: False

    def get(self, ref: Ref[Any]) -> Any:
        self._ask([ref])
        return super().get(ref)

    def get_all(self, refs: Sequence[Ref[Any]]) -> Any:
        self._ask(refs)
        return super().get_all(refs)

    def _ask(self, refs: Sequence[Ref[Any]]) -> None:
        self.requests += bool(refs)
        if self.refuse(refs):
            raise ThrottledError("too much")


def passed_on(told: Told) -> list[ResolvedEvent]:
    return [
        ResolvedEvent.decode(one.value)
        for one in told.produced
        if one.topic == Topic.EVENTS_RESOLVED
    ]


def set_aside(told: Told) -> list[Quarantined]:
    return [
        Quarantined.decode(one.value)
        for one in told.produced
        if one.topic == Topic.EVENTS_QUARANTINED
    ]


def raw(value: bytes | None, offset: int = 7) -> Record:
    return Record("events.received", 3, offset, 0, b"key", value)


def test_a_fragments_events_of_a_batch_are_one_put_before_anything_is_produced() -> None:
    told = Logged()
    store = Watched(told.log)

    resolver(store, told)([record(event(i, "user:u"), i) for i in range(5)])

    assert told.log == ["StateRow", *["produce"] * 5, "flush"]


def test_an_event_goes_on_under_its_subject_with_person_and_stamp() -> None:
    store, told = MemoryStore(), Told()
    happened = event(1, "user:u", "anonymous:a", name="trial_signup", accounts=("owner=group:g",))

    result = resolver(store, told)([record(happened)])

    (one,) = passed_on(told)
    user = alias("user:u").fragment
    assert result.done
    assert (one.person, one.subject, told.produced[0].key) == (user, user, user)
    assert one.event.stamps.resolved == START
    assert one.event.model_copy(update={"stamps": happened.stamps}) == happened
    assert not one.repeated


def test_what_was_counted_before_is_passed_on_again_and_marked() -> None:
    store, told = MemoryStore(), Told()
    batch = [record(event(1, "user:u"), 0), record(event(1, "user:u"), 1)]
    copy = resolver(store, told)

    copy(batch[:1])
    result = copy(batch)

    assert len(result.done) == 2
    assert [one.repeated for one in passed_on(told)] == [False, True, True]


def test_a_record_twice_in_a_batch_is_marked_the_second_time() -> None:
    store, told = MemoryStore(), Told()

    resolver(store, told)([record(event(1, "user:u"), offset) for offset in (0, 1)])

    assert [one.repeated for one in passed_on(told)] == [False, True]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff not json", "invalid_event"),
        (b"[]", "invalid_event"),
        (b'{"event_id": "secret@person.test"}', "invalid_event"),
        (event(1, "user:u").model_copy(update={"aliases": ()}).encode(), "invalid_event"),
        (event(1, "user:u", occurred_at=10**19).encode(), "invalid_event"),
        (event(1, "user:u", occurred_at=-1).encode(), "invalid_event"),
        (event(1, "user:u", schema_version=SCHEMA_VERSION + 1).encode(), "unknown_schema"),
    ],
)
def test_what_cannot_be_read_is_set_aside_and_stops_nobody(value: bytes, reason: str) -> None:
    store, told = MemoryStore(), Told()

    result = resolver(store, told)([raw(value), record(event(2, "user:u"), 8)])

    assert [(r.offset, why) for r, why in result.quarantined] == [(7, reason)]
    assert [r.offset for r in result.done] == [8]
    assert not result.failed
    (one,) = set_aside(told)
    assert (one.id, one.component, one.reason) == ("events.received-3-7", "resolve", reason)
    assert "secret" not in one.detail
    assert one.record is not None
    assert told.flushed == 2


def test_an_event_of_a_newer_minor_version_is_read() -> None:
    store, told = MemoryStore(), Told()
    newer = event(1, "user:u").encode()[:-1] + b',"a_field_of_tomorrow":{"x":1}}'

    assert resolver(store, told)([raw(newer)]).done


def test_a_null_is_skipped() -> None:
    result = resolver(MemoryStore())([raw(None)])

    assert len(result.skipped) == 1
    assert not result.failed


def test_an_identity_that_cannot_be_followed_is_set_aside() -> None:
    store, told = MemoryStore(), Told()
    user = alias("user:u").fragment
    store.write(Put(SubjectRow(subject=user, merged_into="other")))
    store.write(Put(SubjectRow(subject="other", merged_into=user)))

    result = resolver(store, told)([record(event(1, "user:u"))])

    assert [why for _, why in result.quarantined] == ["subject_circle"]


def test_a_fragment_that_cannot_be_counted_fails_alone() -> None:
    told = Told()
    store = Requests()
    bad = StateRow.ref_to(alias("user:bad").fragment, "-")
    store.refuse = lambda refs: bad in refs
    batch = [record(event(i, who), i) for i, who in enumerate(("user:bad", "user:ok", "user:bad"))]

    result = resolver(store, told)(batch)

    assert [(r.offset, why) for r, why in result.failed] == [
        (0, "ThrottledError"),
        (2, "ThrottledError"),
    ]
    assert [r.offset for r in result.done] == [1]
    assert [one.event.event_id for one in passed_on(told)] == ["1"]


def test_a_row_that_no_table_takes_is_set_aside_and_stops_nobody() -> None:
    class Full(MemoryStore):
        def write(self, *writes: Put | Check) -> None:
            if any(isinstance(one.row, StateRow) and one.row.fragment == bad for one in writes):
                raise TerminalError("ValidationException", "item size")
            super().write(*writes)

    bad, told = alias("user:bad").fragment, Told()
    batch = [record(event(i, who), i) for i, who in enumerate(("user:bad", "user:ok"))]

    result = resolver(Full(), told)(batch)

    assert [(r.offset, why) for r, why in result.quarantined] == [(0, "ValidationException")]
    assert [r.offset for r in result.done] == [1]
    assert [one.id for one in set_aside(told)] == [f"events.received-{batch[0].partition}-0"]
    assert told.counts["records_quarantined"] == 1


def test_an_event_that_cannot_be_linked_is_not_counted_yet() -> None:
    class NoIdentity(MemoryStore):
        def get_all(self, refs: Any) -> Any:
            raise UnavailableError("no answer")

    store, told = NoIdentity(), Told()

    result = resolver(store, told)([record(event(1, "user:u"))])

    assert [why for _, why in result.failed] == ["UnavailableError"]
    assert not store.rows
    assert not told.produced


def test_without_the_flush_nothing_is_acknowledged_and_the_next_try_marks_it() -> None:
    class Deaf(Told):
        def flush(self, timeout: float) -> None:
            raise UnavailableError("no broker")

    store, told = MemoryStore(), Told()
    batch = [record(event(1, "user:u"), 0), raw(b"nonsense", 1)]

    result = resolver(store, Deaf())(batch)

    assert sorted(r.offset for r, _ in result.failed) == [0, 1]
    assert not result.done
    assert not result.quarantined

    again = resolver(store, told)(batch)
    assert [r.offset for r in again.done] == [0]
    assert [one.repeated for one in passed_on(told)] == [True]


def test_a_machines_events_are_reported_and_not_passed_on() -> None:
    store, told = MemoryStore(), Told()
    batch = [record(event(i, "user:robot"), i) for i in range(30)]

    result = resolver(store, told, machine=10)(batch)

    assert len(result.done) == 30
    assert len(passed_on(told)) == 10
    assert told.counts["machine_events"] == 20


def test_trace_and_replay_headers_travel_and_others_do_not() -> None:
    store, told = MemoryStore(), Told()
    headers = {Header.TRACE: b"t", Header.REPLAY: b"1", Header.RAW_ID: b"r", "other": b"x"}
    one = record(event(1, "user:u"))

    resolver(store, told)(
        [Record(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, headers)]
    )

    assert dict(told.produced[0].headers) == {Header.TRACE: b"t", Header.REPLAY: b"1"}


def test_what_was_counted_and_repeated_is_measured() -> None:
    store, told = MemoryStore(), Told()
    copy = resolver(store, told)

    copy([record(event(1, "user:u")), record(event(2, "user:u"))])
    copy([record(event(2, "user:u"))])

    assert told.counts == Counter(events_counted=2, events_repeated=1)


def customers(number: int) -> list[Record]:
    return [
        record(event(i, f"user:u{i}", f"anonymous:a{i}", accounts=(f"owner=cus:{i}",)), i)
        for i in range(number)
    ]


def test_a_batch_is_read_with_as_many_requests_as_one_event() -> None:
    alone, batch = Requests(), Requests()
    for store in (alone, batch):
        resolver(store)(customers(50))
        store.requests = 0

    assert resolver(alone)(customers(1)).done
    assert len(resolver(batch)(customers(50)).done) == 50

    assert batch.requests == alone.requests
    assert alone.requests <= len({"aliases", "persons", "accounts", "subjects", "states"})


def test_whom_a_batch_has_merged_before_is_read_ahead_too() -> None:
    alone, batch = Requests(), Requests()
    visits = [record(event(f"v{i}", f"anonymous:a{i}"), i) for i in range(50)]
    for store in (alone, batch):
        resolver(store)(customers(50))
        store.requests = 0

    resolver(alone)(visits[:1])
    resolver(batch)(visits)

    assert batch.requests == alone.requests


def test_what_cannot_be_read_ahead_fails_the_events_that_need_it_alone() -> None:
    store = Requests()
    poor = alias("user:u3").fragment
    store.refuse = lambda refs: any(poor in ref.pk for ref in refs)

    result = resolver(store)(customers(10))

    assert [(one.offset, reason) for one, reason in result.failed] == [(3, "ThrottledError")]
    assert len(result.done) == 9
    store.refuse = lambda refs: False
    assert len(resolver(store)(customers(10)).done) == 10
