"""StoredCounts says of each event whether Fold has counted it, wherever its id lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from desireline.journey.state import DAY
from desireline.resolve.counted_events import StoredCounts
from desireline.resolve.fold import Fold
from tests.worlds.event_streams import START, event

DAYS = st.integers(min_value=-400, max_value=0)


def an_event(number: int, day: int, *, timed: bool = True, user: int = 0) -> CanonicalEvent:
    return event(number, f"user:{user}", occurred_at=START + day * DAY, timed=timed)


@given(st.lists(st.tuples(DAYS, st.booleans(), st.integers(0, 2)), min_size=1, max_size=30))
def test_exactly_what_was_folded_is_counted(made: list[tuple[int, bool, int]]) -> None:
    """Given events of many days, every second of them folded, then just those are counted."""
    store = MemoryStore()
    events = [an_event(n, day, timed=timed, user=user) for n, (day, timed, user) in enumerate(made)]
    fold = Fold(store)
    for one in events[::2]:
        fold(one.fragment, one.account_key, [one])

    assert StoredCounts(store)(events) == {one.event_id for one in events[::2]}


def test_a_repeat_with_another_time_of_arrival_is_found_as_fold_finds_it() -> None:
    store = MemoryStore()
    first, again = an_event(1, -3, timed=False), an_event(1, 0, timed=False)
    Fold(store)(first.fragment, first.account_key, [first])

    assert StoredCounts(store)([again]) == {"1"}


def test_nothing_is_read_for_nobody() -> None:
    assert StoredCounts(MemoryStore())([]) == frozenset()
