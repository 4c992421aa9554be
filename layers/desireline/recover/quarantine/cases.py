"""Which cases there are: counted by kind, listed by what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from desireline.errors import ConflictError
from desireline.ports import Store
from desireline.recover.quarantine.index_quarantine import ATTEMPTS, DAY, KEPT_SECONDS
from desireline.rows import CaseGroupRow, CasePageRow, CaseRow, Put
from desireline.rows.quarantine import PAGE, Group


class State(StrEnum):
    """Of a case: it waits, or it was repaired and replayed."""

    OPEN = "open"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """None of a kind means all. events: names as the sender gave them. since, until: wall time of
    the arrival, epoch ms, until excluded."""

    sources: frozenset[str] | None = None
    stages: frozenset[str] | None = None
    reasons: frozenset[str] | None = None
    events: frozenset[str] | None = None
    state: State | None = None
    since: int
    until: int

    def hold_group(self, group: Group) -> bool:
        """Whether cases of that kind are asked for."""
        asked = (self.sources, self.stages, self.reasons, self.events)
        return all(
            wanted is None or value in wanted for wanted, value in zip(asked, group, strict=True)
        )

    def hold(self, case: CaseRow) -> bool:
        """Whether that case is asked for."""
        state = State.REPAIRED if case.replayed else State.OPEN
        return (
            self.hold_group(case.group)
            and self.since <= case.arrived < self.until
            and self.state in (None, state)
        )

    @property
    def days(self) -> range:
        """The days to look at, newest first; none that have been forgotten."""
        last = (self.until - 1) // DAY
        first = max(self.since // DAY, last - KEPT_SECONDS // 86_400 - 1)
        return range(last, first - 1, -1)


@dataclass(frozen=True, slots=True)
class Counted:
    """Cases of one kind. first, last: of their arrivals, wall time, epoch ms."""

    group: Group
    found: int
    repaired: int
    first: int
    last: int


class Cases:
    """What is in quarantine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def groups(self, filters: Filters) -> list[Counted]:
        """How many of each kind, most first. Whole days are counted: those of the first and the
        last day that are outside of the times are counted with them."""
        found: dict[Group, Counted] = {}
        for row in (row for day in filters.days for row in self._rows(day, filters)):
            known = found.get(row.group)
            found[row.group] = Counted(
                row.group,
                row.found + (known.found if known else 0),
                row.replayed + (known.repaired if known else 0),
                min(row.first, known.first) if known else row.first,
                max(row.last, known.last) if known else row.last,
            )
        kept = (one for one in found.values() if _asked(one, filters.state))
        return sorted(kept, key=lambda one: (one.repaired - one.found, one.group))

    def cases(self, filters: Filters, limit: int) -> list[CaseRow]:
        """The cases asked for, newest first, at most so many."""
        found: list[CaseRow] = []
        for day in filters.days:
            rows = self._rows(day, filters)
            of_day = [case for row in rows for case in self._of(row, filters, limit)]
            found += sorted(of_day, key=lambda case: (-case.arrived, case.id))
            if len(found) >= limit:
                break
        return found[:limit]

    def named(self, ids: Iterable[str]) -> list[CaseRow]:
        """The cases of these ids that there are."""
        places = [CaseRow.place(one) for one in dict.fromkeys(ids)]
        found = self._store.get_all(places)
        return [found[place] for place in places if place in found]

    def mark(self, cases: Iterable[tuple[CaseRow, str | None]], replay_id: str, now: int) -> None:
        """Note that these were replayed, each with the id of the event that it became. Those that
        were before keep what they say. Raises RetryableError."""
        by_place: dict[tuple[int, Group], list[tuple[CaseRow, str | None]]] = {}
        for case, event in cases:
            by_place.setdefault((case.arrived // DAY, case.group), []).append((case, event))
        for (day, group), some in by_place.items():
            for start in range(0, len(some), PAGE):
                self._mark(day, group, dict(some_ids(some[start : start + PAGE])), replay_id, now)

    def _mark(
        self, day: int, group: Group, events: dict[str, str | None], replay_id: str, now: int
    ) -> None:
        for _ in range(ATTEMPTS):
            waiting = [case for case in self.named(events) if not case.replayed]
            counted = self._store.get(CaseGroupRow.place(day, group))
            if not waiting or counted is None:
                return None
            marked = (
                Put(case.but(replayed=replay_id, replayed_at=now, repaired_as=events[case.id]))
                for case in waiting
            )
            more = Put(counted.but(replayed=counted.replayed + len(waiting)))
            try:
                return self._store.write(*marked, more)
            except ConflictError:
                continue
        raise ConflictError(f"cases changed {ATTEMPTS} times while they were marked")

    def _rows(self, day: int, filters: Filters) -> list[CaseGroupRow]:
        rows = self._store.query(CaseGroupRow, CaseGroupRow.partition_key(day))
        return [row for row in rows if filters.hold_group(row.group)]

    def _of(self, row: CaseGroupRow, filters: Filters, limit: int) -> Iterator[CaseRow]:
        """Page by page from the newest, until there are enough."""
        found = 0
        for number in range((row.found - 1) // PAGE, -1, -1):
            page = self._store.get(CasePageRow.place(row.day, row.group, number))
            for case in self.named(page.ids if page else ()):
                if filters.hold(case):
                    found += 1
                    yield case
            if found >= limit:
                return


def some_ids(cases: Iterable[tuple[CaseRow, str | None]]) -> Iterator[tuple[str, str | None]]:
    """By id."""
    return ((case.id, event) for case, event in cases)


def _asked(counted: Counted, state: State | None) -> bool:
    match state:
        case State.OPEN:
            return counted.found > counted.repaired
        case State.REPAIRED:
            return counted.repaired > 0
        case None:
            return True
