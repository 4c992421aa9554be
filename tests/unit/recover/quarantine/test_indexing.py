"""Quarantine's index: exact counts whatever comes again, pages that stay small, filters."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.errors import ConflictError, ThrottledError
from desireline.events import Stamps
from desireline.records import Record
from desireline.recover.quarantine import cases as cases_module
from desireline.recover.quarantine import index_quarantine
from desireline.recover.quarantine.cases import Cases, Cursor, State
from desireline.recover.quarantine.index_quarantine import DAY, OTHERS, IndexQuarantine
from desireline.rows import CasePageRow, CaseRow
from desireline.rows.quarantine import PAGE
from desireline_local.demo.in_memory import Silent
from tests.worlds.quarantining import NOW, indexed, make_filters, quarantined, record


def test_cases_are_counted_by_kind_most_first():
    store = MemoryStore()
    many = [quarantined(n) for n in range(5)]
    few = [quarantined(n, reason="parameter_missing", event_name="Trial Started") for n in (7, 8)]
    result = indexed(store, *few, *many)

    assert len(result.done) == 7
    found = Cases(store).groups(make_filters())
    assert [(one.group.reason, one.total, one.repaired) for one in found] == [
        ("unmapped", 5, 0),
        ("parameter_missing", 2, 0),
    ]
    assert (found[0].first, found[0].last) == (NOW, NOW + 4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 200), max_size=120), max_size=6),
    st.randoms(use_true_random=False),
)
def test_counts_and_pages_are_exact_however_often_records_come(batches, rng):
    """Given batches with repeats, and conflicts with a second writer, then each case is counted
    once, and lies on exactly one page, of at most PAGE."""
    store = Contested(rng)
    for batch in batches:
        for _ in range(3):
            indexed(store, *(quarantined(n) for n in batch))
    store.calm = True
    for batch in batches:
        assert not indexed(store, *(quarantined(n) for n in batch)).failed

    distinct = {n for batch in batches for n in batch}
    groups = Cases(store).groups(make_filters())
    assert sum(one.total for one in groups) == len(distinct)
    pages = [row for row in store.rows.values() if isinstance(row, CasePageRow)]
    listed = Counter(one for page in pages for one in page.ids)
    assert listed == Counter(quarantined(n).id for n in distinct)
    assert all(len(page.ids) <= PAGE for page in pages)
    found = Cases(store).cases(make_filters(), 1_000)
    assert [case.arrived for case in found] == sorted((NOW + n for n in distinct), reverse=True)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=60, unique=True),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_pages_of_a_list_hold_every_case_once_newest_first(numbers, limit, rng):
    """Given cases of several kinds that were indexed in any order, when a caller asks page by page,
    then it gets each case once, newest first."""
    store = MemoryStore()
    rng.shuffle(numbers)
    listed, after = [], None
    with pytest.MonkeyPatch.context() as patch:
        for module in (index_quarantine, cases_module):
            patch.setattr(module, "PAGE", 4)
        for n in numbers:
            indexed(store, quarantined(n, reason=f"r{n % 2}"))

        while page := Cases(store).cases(make_filters(), limit, after):
            assert len(page) <= limit
            listed += page
            after = Cursor.parse(str(Cursor.of(page[-1])))

    assert [case.id for case in listed] == [
        quarantined(n).id for n in sorted(numbers, reverse=True)
    ]


class Contested(MemoryStore):
    """Now and then somebody else was faster."""

    def __init__(self, rng: Any) -> None:
        super().__init__()
        self._rng = rng
        self.calm = False

    def write(self, *writes: Any) -> None:
        if not self.calm and self._rng.random() < 0.3:
            raise self._rng.choice((ConflictError, ThrottledError))("busy")
        super().write(*writes)


def test_pages_are_filled_one_after_the_other():
    store = MemoryStore()
    for start in range(0, 250, 50):
        indexed(store, *(quarantined(n) for n in range(start, start + 50)))
    pages = sorted(
        (row for row in store.rows.values() if isinstance(row, CasePageRow)),
        key=lambda page: page.number,
    )
    assert [len(page.ids) for page in pages] == [PAGE, PAGE, PAGE, 250 - 3 * PAGE]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sources", "stripe"),
        ("components", "resolve"),
        ("reasons", "no_identity"),
        ("events", "Signed In"),
    ],
)
def test_only_what_is_asked_for_is_listed(name, value):
    field = {
        "sources": "source",
        "components": "component",
        "reasons": "reason",
        "events": "event_name",
    }
    store = MemoryStore()
    indexed(store, quarantined(1), quarantined(2, **{field[name]: value}))

    filters = make_filters(**{name: frozenset({value})})

    assert [case.id for case in Cases(store).cases(filters, 10)] == [quarantined(2).id]
    assert [one.total for one in Cases(store).groups(filters)] == [1]


def test_cases_are_listed_by_their_time_over_days_and_no_more_than_asked_for():
    store = MemoryStore()
    times = [NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY + 5, NOW - 7]
    for number, at in enumerate(times):
        indexed(store, quarantined(number, stamps=Stamps(received=at)))
    cases = Cases(store)

    def arrived(limit: int = 10, **fields: Any) -> list[int]:
        filters = make_filters(**{"since": 0, "until": NOW, **fields})
        return [case.arrived for case in cases.cases(filters, limit)]

    assert arrived() == times[::-1]
    assert arrived(2) == [NOW - 7, NOW - DAY + 5]
    assert arrived(since=times[1], until=times[2]) == [times[1]]
    assert arrived(since=times[1]) == times[:0:-1]


def test_a_list_reads_each_day_once():
    """Thirty days without a case cost thirty reads, not thirty times thirty."""
    store = MemoryStore()
    indexed(store, quarantined(1))
    before = store.reads

    assert len(Cases(store).cases(make_filters(since=NOW - 30 * DAY), 10)) == 1
    assert store.reads - before < 40


def test_what_was_replayed_is_listed_as_repaired_and_marked_once():
    store = MemoryStore()
    indexed(store, *(quarantined(n) for n in range(100)))
    cases = Cases(store)
    some = cases.cases(make_filters(), 90)

    for replay in ("first", "second"):
        cases.mark([(case, f"event of {case.id}") for case in some], replay, NOW + 9)

    (group,) = cases.groups(make_filters())
    assert (group.total, group.repaired) == (100, 90)
    repaired = cases.cases(make_filters(state=State.REPAIRED), 200)
    assert {case.replayed for case in repaired} == {"first"}
    assert {case.repaired_as for case in repaired} == {f"event of {c.id}" for c in some}
    assert len(cases.cases(make_filters(state=State.OPEN), 200)) == 10
    assert cases.groups(make_filters(state=State.REPAIRED)) == [group]


def test_a_sender_that_makes_up_names_does_not_fill_the_day(monkeypatch):
    monkeypatch.setattr(index_quarantine, "GROUPS", 10)
    store = MemoryStore()
    for number in range(25):
        indexed(store, quarantined(number, event_name=f"event {number}"))
    indexed(store, quarantined(0, event_name="event 0"), quarantined(99, event_name="event 99"))

    found = Cases(store).groups(make_filters())

    assert Counter({one.group.event: one.total for one in found})[OTHERS] == 16
    assert len(found) == 11
    others = Cases(store).cases(make_filters(events=frozenset({OTHERS})), 100)
    assert {case.event_name for case in others} == {f"event {n}" for n in (*range(10, 25), 99)}
    Cases(store).mark([(others[0], None)], "r", NOW)
    assert sum(one.repaired for one in Cases(store).groups(make_filters())) == 1


def test_what_is_no_message_is_set_aside_and_what_is_empty_skipped():
    store = MemoryStore()
    topic = Topic.EVENTS_QUARANTINED
    records = [Record(topic, 0, n, NOW, None, value) for n, value in enumerate((b"{}", None))]

    result = IndexQuarantine(store=store, metrics=Silent())([*records, record(quarantined(1))])

    assert result.quarantined == ((records[0], "unreadable_record"),)
    assert result.skipped == (records[1],)
    assert len(result.done) == 1


@pytest.mark.parametrize("text", ["x" * 50_000, "not \ufffd text"])
def test_a_record_that_its_row_cannot_hold_is_left_out(text):
    store = MemoryStore()
    indexed(store, quarantined(1, component="resolve", raw=None, record=text))
    (case,) = Cases(store).cases(make_filters(), 5)
    assert case.record is None


def test_rows_go_when_raw_bodies_go():
    store = MemoryStore()
    indexed(store, quarantined(1))
    expiries = {row.expires for row in store.rows.values()}
    assert expiries == {(NOW // DAY + 30) * 86_400}
    assert isinstance(store.get(CaseRow.ref_to(quarantined(1).id)), CaseRow)
