"""History meets resolve: a fragment with events of many old days, in any order, in any batches.

What an import costs is held here in rows written, which is what DynamoDB charges for; the words for
it are in docs/import.md.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from desireline.journey.state import DAY, KEPT_DAYS
from desireline.resolve.counted_events import StoredCounts
from desireline.resolve.fold import Fold
from desireline.rows import Check, Put, SealedIdsRow, StateRow
from tests.worlds.event_streams import START, event

DAYS, A_DAY = 730, 3
ITEM_LIMIT = 400_000


class Counting(MemoryStore):
    """Counts rows written, transactions, and the largest row."""

    def __init__(self) -> None:
        super().__init__()
        self.put = self.transactions = self.largest = self.widest = 0

    def write(self, *writes: Put | Check) -> None:
        super().write(*writes)
        self.transactions += 1
        self.widest = max(self.widest, len(writes))
        for one in writes:
            if isinstance(one, Put):
                self.put += 1
                ids = len(one.row.ids) if isinstance(one.row, StateRow | SealedIdsRow) else 0
                told = one.row.model_dump_json(exclude={"ids"})
                self.largest = max(self.largest, ids + len(told))


def two_years() -> list[CanonicalEvent]:
    return [
        event(f"{day}-{number}", "user:u", occurred_at=START - day * DAY + number)
        for day in range(DAYS)
        for number in range(A_DAY)
    ]


def fold(store: Counting, events: Sequence[CanonicalEvent], batch: int) -> int:
    """How many were counted."""
    one = Fold(store)
    return sum(
        len(one(events[0].fragment, events[0].account_key, events[start : start + batch]).counted)
        for start in range(0, len(events), batch)
    )


def orders() -> dict[str, list[CanonicalEvent]]:
    newest_first = two_years()
    shuffled = list(newest_first)
    random.Random(1).shuffle(shuffled)
    return {
        "oldest first": list(reversed(newest_first)),
        "newest first": newest_first,
        "shuffled": shuffled,
    }


@pytest.mark.parametrize("order", orders())
@pytest.mark.parametrize("batch", [1, 50, 5_000])
def test_two_years_of_one_person_count_once_within_all_limits(order: str, batch: int) -> None:
    """Given two years of one person's events, three a day, in any order and batches, then each is
    counted once, and again none; no transaction and no row comes near its limit."""
    store, events = Counting(), orders()[order]

    assert fold(store, events, batch) == len(events)
    put = store.put
    assert fold(store, events[::-1], 500) == 0
    assert store.put == put

    (state,) = [row for row in store.rows.values() if isinstance(row, StateRow)]
    assert sum(state.state.counts.values()) == len(events)
    assert len(state.state.days) == KEPT_DAYS
    assert max(state.state.days) == START // DAY
    assert store.widest <= 62
    assert store.largest < ITEM_LIMIT / 10
    assert StoredCounts(store)(events) == {one.event_id for one in events}


def test_what_history_costs_in_rows() -> None:
    """Given two years of one person: oldest first, as files are written, a closed day costs one row
    more; what is older than the days in the row costs two rows an event, the state's and the day's;
    and all at once, as when a file is sorted by person, two rows for each day at most."""
    cost: dict[tuple[str, int], float] = {}
    for order, events in orders().items():
        for batch in (1, 5_000):
            store = Counting()
            fold(store, events, batch)
            cost[order, batch] = store.put / len(events)

    assert cost["oldest first", 1] == pytest.approx(1 + 1 / A_DAY, abs=0.03)
    assert cost["newest first", 1] == pytest.approx(2, abs=0.03)
    assert cost["shuffled", 1] == pytest.approx(2, abs=0.03)
    assert cost["oldest first", 5_000] < 0.4
    assert cost["shuffled", 5_000] < 0.4


def test_live_events_beside_an_import_go_on_in_the_row() -> None:
    """Given a person with history of a year, when today's event comes, then one row is written."""
    store = Counting()
    past = [event(f"p{day}", "user:u", occurred_at=START - day * DAY) for day in range(1, 365)]
    random.Random(2).shuffle(past)
    fold(store, past, 50)
    before = store.put

    fold(store, [event("now", "user:u", occurred_at=START)], 1)

    assert store.put - before <= 2
