"""Count, list and mark cases of quarantine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from heapq import nlargest
from typing import NamedTuple

from desireline.errors import ConflictError
from desireline.ports import Store
from desireline.recover.quarantine.index_quarantine import ATTEMPTS, DAY, KEPT_SECONDS
from desireline.rows import CaseGroupRow, CasePageRow, CaseRow, Put
from desireline.rows.quarantine import PAGE, Group

DISORDER = 60_000
"""Milliseconds by which arrivals may differ from the order in which a group's pages list them.
Requests that end at the same time are indexed in any order; none takes longer than this."""


class Position(NamedTuple):
    """The position of a case in a list, which is newest first. arrived: wall time, epoch ms."""

    arrived: int
    id: str

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse "arrived/id". Raises ValueError."""
        arrived, slash, case_id = text.partition("/")
        if not (slash and case_id and arrived.isascii() and arrived.isdigit()):
            raise ValueError("must be <arrived>/<id>, as `next` of an earlier answer")
        return cls(int(arrived), case_id)

    def __str__(self) -> str:
        return f"{self.arrived}/{self.id}"

    @property
    def order(self) -> tuple[int, str]:
        """The key that sorts a list."""
        return -self.arrived, self.id


class State(StrEnum):
    """The state of a case. A repaired case has been replayed."""

    OPEN = "open"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Selects cases. None accepts all values of a field. events: the sender's names. since, until:
    wall time of the arrival, epoch ms; `until` is excluded."""

    sources: frozenset[str] | None = None
    components: frozenset[str] | None = None
    reasons: frozenset[str] | None = None
    events: frozenset[str] | None = None
    state: State | None = None
    since: int
    until: int

    def hold_group(self, group: Group) -> bool:
        """Tell whether the filters accept cases of a group."""
        fields = (self.sources, self.components, self.reasons, self.events)
        return all(
            allowed is None or value in allowed
            for allowed, value in zip(fields, group, strict=True)
        )

    def hold(self, case: CaseRow) -> bool:
        """Tell whether the filters accept a case."""
        state = State.REPAIRED if case.replayed else State.OPEN
        return (
            self.hold_group(case.group)
            and self.since <= case.arrived < self.until
            and self.state in (None, state)
        )

    @property
    def days(self) -> range:
        """The days to read, newest first, without days whose cases have expired."""
        last = (self.until - 1) // DAY
        first = max(self.since // DAY, last - KEPT_SECONDS // 86_400 - 1)
        return range(last, first - 1, -1)


@dataclass(frozen=True, slots=True)
class CaseCount:
    """The number of cases of a group. first, last: wall time of their arrivals, epoch ms."""

    group: Group
    total: int
    repaired: int
    first: int
    last: int


class Cases:
    """Reads and marks the cases in the table quarantine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def groups(self, filters: Filters) -> list[CaseCount]:
        """Count the cases of each group. Groups with the most open cases come first.

        It counts whole days. So the first and the last day include cases outside of the times."""
        counts: dict[Group, CaseCount] = {}
        for row in (row for day in filters.days for row in self._rows(day, filters)):
            so_far = counts.get(row.group)
            counts[row.group] = CaseCount(
                row.group,
                row.total + (so_far.total if so_far else 0),
                row.replayed + (so_far.repaired if so_far else 0),
                min(row.first, so_far.first) if so_far else row.first,
                max(row.last, so_far.last) if so_far else row.last,
            )
        selected = (count for count in counts.values() if _has_state(count, filters.state))
        return sorted(selected, key=lambda count: (count.repaired - count.total, count.group))

    def cases(self, filters: Filters, limit: int, after: Position | None = None) -> list[CaseRow]:
        """List the selected cases, newest first. limit: the most cases to return.

        after: the position of the last case of the previous part of the list."""
        selected: list[CaseRow] = []
        for day in filters.days:
            if after and day > after.arrived // DAY:
                continue
            rows = self._rows(day, filters)
            of_day = [case for row in rows for case in self._of(row, filters, limit, after)]
            selected += sorted(of_day, key=lambda case: position_of(case).order)
            if len(selected) >= limit:
                break
        return selected[:limit]

    def named(self, ids: Iterable[str]) -> list[CaseRow]:
        """Read the cases with these ids. Omit ids without a case."""
        refs = [CaseRow.ref_to(case_id) for case_id in dict.fromkeys(ids)]
        rows = self._store.get_all(refs)
        return [rows[ref] for ref in refs if ref in rows]

    def mark(self, cases: Iterable[tuple[CaseRow, str | None]], replay_id: str, now: int) -> None:
        """Mark cases as replayed. Each comes with the id of its event. now: wall time, epoch ms.

        A case that an earlier replay marked keeps its mark. Raises RetryableError."""
        by_group: dict[tuple[int, Group], list[tuple[CaseRow, str | None]]] = {}
        for case, event in cases:
            by_group.setdefault((case.arrived // DAY, case.group), []).append((case, event))
        for (day, group), members in by_group.items():
            for start in range(0, len(members), PAGE):
                page = members[start : start + PAGE]
                events = {case.id: event for case, event in page}
                self._mark(day, group, events, replay_id, now)

    def _mark(
        self, day: int, group: Group, events: dict[str, str | None], replay_id: str, now: int
    ) -> None:
        for _ in range(ATTEMPTS):
            waiting = [case for case in self.named(events) if not case.replayed]
            counted = self._store.get(CaseGroupRow.ref_to(day, group))
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
        raise ConflictError(f"other writes changed the cases {ATTEMPTS} times: run it again")

    def _rows(self, day: int, filters: Filters) -> list[CaseGroupRow]:
        rows = self._store.query(CaseGroupRow, CaseGroupRow.partition_key(day))
        return [row for row in rows if filters.hold_group(row.group)]

    def _of(
        self, row: CaseGroupRow, filters: Filters, limit: int, after: Position | None
    ) -> list[CaseRow]:
        """Return the newest selected cases of a group: all of them, or at least `limit`."""
        latest = min(filters.until - 1, after.arrived if after else filters.until)
        selected: list[CaseRow] = []
        for number in range(self._newest_page(row, latest), -1, -1):
            page = self._store.get(CasePageRow.ref_to(row.day, row.group, number))
            cases = self.named(page.ids if page else ())
            selected += (
                case
                for case in cases
                if filters.hold(case) and (after is None or position_of(case).order > after.order)
            )
            oldest = filters.since
            if len(selected) >= limit:
                oldest = max(oldest, nlargest(limit, (case.arrived for case in selected))[-1])
            if cases and max(case.arrived for case in cases) < oldest - DISORDER:
                break
        return selected

    def _newest_page(self, row: CaseGroupRow, latest: int) -> int:
        """Return the number of the newest page that may hold a case of this time or before.

        It bisects, so that the last part of a long list costs as little as the first."""
        low, high = 0, (row.total - 1) // PAGE
        if row.last <= latest:
            return high
        while low < high:
            middle = (low + high + 1) // 2
            page = self._store.get(CasePageRow.ref_to(row.day, row.group, middle))
            first = self.named(page.ids[:1] if page else ())
            if first and first[0].arrived > latest + DISORDER:
                high = middle - 1
            else:
                low = middle
        return low


def position_of(case: CaseRow) -> Position:
    """Return the position of a case in a list."""
    return Position(case.arrived, case.id)


def _has_state(count: CaseCount, state: State | None) -> bool:
    match state:
        case State.OPEN:
            return count.total > count.repaired
        case State.REPAIRED:
            return count.repaired > 0
        case None:
            return True
