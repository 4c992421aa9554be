"""Count, list and mark cases of quarantine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from desireline.contracts import CASE_SECONDS
from desireline.errors import ConflictError
from desireline.ports import Store
from desireline.recover.quarantine.index_quarantine import ATTEMPTS, DAY
from desireline.rows import CaseGroupRow, CasePageRow, CaseRow, Put
from desireline.rows.quarantine import PAGE, Group


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
        first = max(self.since // DAY, last - CASE_SECONDS // 86_400 - 1)
        return range(last, first - 1, -1)


class Cursor(NamedTuple):
    """The place of a case in a list, newest first. Its text is 'arrived/id'."""

    arrived: int
    id: str

    @classmethod
    def of(cls, case: CaseRow) -> Cursor:
        return cls(case.arrived, case.id)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse the text of a cursor. Raises ValueError."""
        arrived, slash, case_id = text.partition("/")
        if not slash:
            raise ValueError("write ARRIVED/ID, as the field `next` has it")
        return cls(int(arrived), case_id)

    @property
    def order(self) -> tuple[int, str]:
        return (-self.arrived, self.id)

    def __str__(self) -> str:
        return f"{self.arrived}/{self.id}"


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

    def cases(self, filters: Filters, limit: int, after: Cursor | None = None) -> list[CaseRow]:
        """List the selected cases, newest first. limit: the most cases to return.

        after: the last case of the page before; None for the first page."""
        if after is not None:
            filters = replace(filters, until=min(filters.until, after.arrived + 1))
        selected: list[CaseRow] = []
        for day in filters.days:
            rows = self._rows(day, filters)
            of_day = [case for row in rows for case in self._newest(row, filters, limit, after)]
            selected += sorted(of_day, key=_order)
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

    def _newest(
        self, row: CaseGroupRow, filters: Filters, limit: int, after: Cursor | None
    ) -> list[CaseRow]:
        """Return the newest selected cases of a group and day, at most `limit`.

        A case may be indexed later than a newer one. So the search ends only at a page that, with
        all pages before it, holds no newer case than the last selected one."""
        selected: list[CaseRow] = []
        for number in range((row.total - 1) // PAGE, -1, -1):
            page = self._store.get(CasePageRow.ref_to(row.day, row.group, number))
            if page is None or page.oldest >= filters.until:
                continue
            enough = len(selected) == limit and page.newest < selected[-1].arrived
            if enough or page.newest < filters.since:
                break
            selected += [
                case
                for case in self.named(page.ids)
                if filters.hold(case) and (after is None or _order(case) > after.order)
            ]
            selected = sorted(selected, key=_order)[:limit]
        return selected


def _order(case: CaseRow) -> tuple[int, str]:
    """Return the key that sorts the newest case first."""
    return Cursor.of(case).order


def _has_state(count: CaseCount, state: State | None) -> bool:
    match state:
        case State.OPEN:
            return count.total > count.repaired
        case State.REPAIRED:
            return count.repaired > 0
        case None:
            return True
