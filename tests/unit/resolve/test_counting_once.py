"""Counting: each event once, whoever delivers it however often, and dies where."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import ConflictError, UnavailableError
from desireline.events import CanonicalEvent
from desireline.journey.state import EMPTY, fold
from desireline.resolve.fold import Fold
from desireline.resolve.ids import id_hash, unpack
from desireline.rows import Check, Put, SealedIdsRow, StateRow
from tests.worlds.event_streams import DAY, START, event

LIMITS = {"hot_days": 4, "hot_ids": 12}
PERSON = "anonymous:a"


class DiedError(BaseException):
    """The process ends here: no handler may catch it."""


class Failing(MemoryStore):
    """A store that now and then throttles, loses its answer, or takes the process with it."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        super().__init__()
        self.rng, self.rate = rng, rate
        self.shapes: Counter[int] = Counter()

    def write(self, *writes: Put | Check) -> None:
        self._fail()
        super().write(*writes)
        self.shapes[len(writes)] += 1
        self._fail()

    def _fail(self) -> None:
        if self.rng.random() < self.rate:
            raise self.rng.choice([DiedError, UnavailableError])("here")


def round_of_events(rng: random.Random) -> list[CanonicalEvent]:
    """Three fragments over 40 days, mostly recent, some far back."""
    return [
        event(
            f"e{i}",
            f"anonymous:{rng.randrange(3)}",
            name=rng.choice(["page_viewed", "logged_in"]),
            occurred_at=START
            + (rng.randrange(40) if rng.random() < 0.2 else i * 40 // 150) * DAY
            + rng.randrange(DAY // 2),
        )
        for i in range(150)
    ]


def deliver(store: Failing, events: list[CanonicalEvent], rng: random.Random) -> set[str]:
    """Shuffled, repeated, in batches to two copies that are replaced when they die. What was
    acknowledged."""
    deliveries = [e for e in events for _ in range(1 + (rng.random() < 0.25))]
    for i in range(len(deliveries)):
        if rng.random() < 0.3:
            j = rng.randrange(len(deliveries))
            deliveries[i], deliveries[j] = deliveries[j], deliveries[i]
    queue = [deliveries[i : i + rng.randint(10, 20)] for i in range(0, len(deliveries), 10)]
    copies = [Fold(store, **LIMITS) for _ in range(2)]
    done: set[str] = set()
    while queue:
        batch = queue.pop(rng.randrange(min(3, len(queue))))
        which = rng.randrange(2)
        groups = defaultdict(list)
        for one in batch:
            groups[one.fragment].append(one)
        try:
            for fragment, group in groups.items():
                copies[which](fragment, "-", group)
                done |= {one.event_id for one in group}
        except DiedError:
            copies[which] = Fold(store, **LIMITS)
            queue.append(batch)
        except UnavailableError:
            half = max(1, len(batch) // 2)
            queue += [part for part in (batch[:half], batch[half:]) if part]
    return done


def ids_of(store: MemoryStore, fragment: str) -> list[bytes]:
    packed = [
        row.ids
        for row in store.rows.values()
        if isinstance(row, StateRow | SealedIdsRow) and row.fragment == fragment
    ]
    return [one for ids in packed for day in unpack(ids).values() for one in day]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_dies_between_every_event_is_counted_once(seed: int) -> None:
    rng = random.Random(seed)
    store = Failing(rng, rng.choice([0.0, 0.02, 0.15]))
    events = round_of_events(rng)

    done = deliver(store, events, rng)

    counted = defaultdict(list)
    for one in events:
        if one.event_id in done:
            counted[one.fragment].append(one)
    for fragment, group in counted.items():
        row = store.get(StateRow.ref_to(fragment, "-"))
        assert row is not None
        assert row.state == fold(EMPTY, group)
        assert Counter(ids_of(store, fragment)) == Counter(id_hash(e.event_id) for e in group)
        assert sum(map(len, unpack(row.ids).values())) <= LIMITS["hot_ids"] + 30
        days = sorted(unpack(row.ids))
        assert days[-1] - days[0] < LIMITS["hot_days"]
    assert max(store.shapes) > 1


def test_a_quiet_event_is_one_put_and_a_closed_day_a_transaction() -> None:
    store = Failing(random.Random(0), 0)
    counting = Fold(store, hot_days=2, hot_ids=100)

    for i, day in enumerate((0, 0, 1, 2, 2, 0)):
        counting(*place(i, occurred_at=START + day * DAY))

    # day 0 closes when day 2 comes, and is opened again by the last, older event
    assert store.shapes == {1: 4, 2: 2}


def place(number: object, **fields: Any) -> tuple[str, str, list[CanonicalEvent]]:
    one = event(number, PERSON, **fields)
    return one.fragment, one.account_key, [one]


def test_an_event_of_a_sealed_day_is_known_there() -> None:
    store = MemoryStore()
    counting = Fold(store, **LIMITS)
    counting(*place("old"))
    for day in range(1, 12):
        counting(*place(f"d{day}", occurred_at=START + day * DAY))

    again = Fold(store, **LIMITS)(*place("old"))
    late = counting(*place("late"))

    assert again.repeated == {"old"}
    assert late.counted == {"late"}
    assert Fold(store, **LIMITS)(*place("late")).repeated == {"late"}


@pytest.mark.parametrize("days", range(-8, 9))
def test_without_the_senders_time_a_repeat_is_found_in_the_days_around(days: int) -> None:
    store = MemoryStore()
    first = START + 30 * DAY
    counting = Fold(store, hot_days=8)
    counting(*place("hook", occurred_at=first, timed=False))
    counting(*place("other", occurred_at=first + 12 * DAY))

    again = counting(*place("hook", occurred_at=first + days * DAY, timed=False))

    assert again.repeated == {"hook"}


def test_a_conflict_is_read_and_folded_again() -> None:
    store = MemoryStore()
    one, other = Fold(store), Fold(store)
    one(*place(1))
    other(*place(2))

    folded = one(*place(3))

    row = store.get(StateRow.ref_to(place(0)[0], "-"))
    assert row is not None
    assert row.state.counts == {"logged_in": 3}
    assert folded.counted == {"3"}


def test_a_row_that_always_conflicts_fails_for_another_try() -> None:
    class Contended(MemoryStore):
        def write(self, *writes: Put | Check) -> None:
            raise ConflictError("always")

    with pytest.raises(ConflictError):
        Fold(Contended())(*place(1))


def test_a_machine_is_folded_no_longer_and_only_on_that_day() -> None:
    store = MemoryStore()
    counting = Fold(store, machine=10)
    fragment, account, _ = place(0)
    flood = [event(i, PERSON) for i in range(25)]

    folded = counting(fragment, account, flood)
    again = Fold(store, machine=10)(fragment, account, flood)
    tomorrow = counting(*place("t", occurred_at=START + DAY))

    assert (len(folded.counted), len(folded.refused)) == (10, 15)
    assert again.repeated == folded.counted
    assert again.refused == folded.refused
    assert tomorrow.counted == {"t"}
    row = store.get(StateRow.ref_to(fragment, account))
    assert row is not None
    assert row.state.counts == {"logged_in": 11}


def test_events_of_a_whole_year_at_once_fit_into_transactions() -> None:
    store = MemoryStore()
    fragment, account, _ = place(0)
    year = [event(i, PERSON, occurred_at=START + i * DAY) for i in range(365)]

    folded = Fold(store)(fragment, account, year)

    assert len(folded.counted) == 365
    assert Fold(store)(fragment, account, year[::-1]).repeated == folded.counted


def test_a_heavy_row_keeps_few_days() -> None:
    store = MemoryStore()
    counting = Fold(store, hot_ids=50)
    fragment, account, _ = place(0)

    for day in range(4):
        many = [event(f"{day}-{i}", PERSON, occurred_at=START + day * DAY) for i in range(40)]
        counting(fragment, account, many)

    row = store.get(StateRow.ref_to(fragment, account))
    assert row is not None
    assert len(unpack(row.ids)) == 1
    assert len(ids_of(store, fragment)) == 160


def test_rows_of_different_accounts_count_apart() -> None:
    store = MemoryStore()
    counting = Fold(store)
    for accounts in ((), ("mention=group:a",), ("owner=cus:c",)):
        counting(*place("same id", accounts=accounts))

    assert sum(isinstance(row, StateRow) for row in store.rows.values()) == 3
