"""Fold: count each event once in its fragment's state row (delivery rule 2).

The row of (fragment, account) holds the folded state and the ids of the newest days. One
conditional put writes both, so the state and its ids always agree. The ids of older days are in
sealed rows, one for each day. A transaction writes sealed rows and the state if a day is sealed, or
if an event of a sealed day arrives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from desireline.errors import ConflictError, Failure, RetryableError, TerminalError
from desireline.events import CanonicalEvent
from desireline.journey import state as journey
from desireline.journey.state import DAY
from desireline.ports import BatchStore
from desireline.resolve.ids import Ids, id_hash, pack, unpack
from desireline.rows import Put, Ref, SealedIdsRow, StateRow

HOT_DAYS = 8
HOT_IDS = 2_000
"""The most ids in the state row: 16 KB, because every put rewrites them. A day with more ids stays
in the row until the next day: 40 KB at most."""
MACHINE_EVENTS_A_DAY = 5_000
CACHED_ROWS = 5_000
ATTEMPTS = 20
DAYS_AT_ONCE = 60


@dataclass(frozen=True, slots=True)
class Folded:
    """The results of one row's events, as sets of event ids.

    counted: counted now. repeated: counted before. refused: beyond MACHINE_EVENTS_A_DAY.
    """

    counted: frozenset[str]
    repeated: frozenset[str]
    refused: frozenset[str]


@dataclass(slots=True)
class _Draft:
    """The next version of a row, while it is built. sealed: the sealed rows that were read."""

    row: StateRow
    hot: Ids
    sealed: dict[int, SealedIdsRow] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    fresh: list[CanonicalEvent] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Group:
    """The events of one row. name: (fragment, account). portions: the events left to count."""

    name: tuple[str, str]
    portions: list[Sequence[CanonicalEvent]]
    attempts: int = 0
    counted: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    failure: Failure | None = None

    @property
    def ref(self) -> Ref[StateRow]:
        return StateRow.ref_to(*self.name)

    @property
    def pending(self) -> bool:
        return bool(self.portions) and self.failure is None

    def finish(self, draft: _Draft) -> None:
        """Remove the first portion, after its write."""
        del self.portions[0]
        self.attempts = 0
        self.counted |= {event.event_id for event in draft.fresh}
        self.repeated |= draft.repeated
        self.refused |= draft.refused

    def conflict(self) -> None:
        """Note a conflict of the first portion, and fail after ATTEMPTS conflicts."""
        self.attempts += 1
        if self.attempts == ATTEMPTS:
            self.failure = ConflictError(f"the state row changed during {ATTEMPTS} attempts")

    def outcome(self) -> Folded | Failure:
        """Return the result of all portions."""
        if self.failure is not None:
            return self.failure
        return Folded(frozenset(self.counted), frozenset(self.repeated), frozenset(self.refused))


class Fold:
    """Folds events into state rows. A cached row that is stale causes a conflict, never a wrong
    count. hot_days, hot_ids: limits of the ids in the state row. machine: the most events that a
    fragment counts for an account and day."""

    def __init__(
        self,
        store: BatchStore,
        *,
        hot_days: int = HOT_DAYS,
        hot_ids: int = HOT_IDS,
        machine: int = MACHINE_EVENTS_A_DAY,
    ) -> None:
        self._store = store
        self._hot_days = hot_days
        self._hot_ids = hot_ids
        self._machine = machine
        self._cache: OrderedDict[Ref[StateRow], StateRow] = OrderedDict()

    def __call__(self, fragment: str, account: str, events: Sequence[CanonicalEvent]) -> Folded:
        """Count the events of one fragment and account.

        Raises RetryableError if the write failed or its outcome is unknown. The next call then
        counts the events, or reports them as repeated.
        """
        name = (fragment, account)
        outcome = self.count_all({name: events})[name]
        if isinstance(outcome, Folded):
            return outcome
        raise outcome

    def count_all(
        self, groups: Mapping[tuple[str, str], Sequence[CanonicalEvent]]
    ) -> dict[tuple[str, str], Folded | Failure]:
        """Count the events of each (fragment, account). The rows are written at the same time, and
        the failure of one does not affect the others."""
        counting = {name: _Group(name, list(_portions(e))) for name, e in groups.items()}
        while pending := [group for group in counting.values() if group.pending]:
            self._count_next(pending)
        return {name: group.outcome() for name, group in counting.items()}

    def prefetch(self, names: Iterable[tuple[str, str]]) -> None:
        """Read the rows of these (fragment, account) in one request.

        If the request fails, `count_all` reads each row that it needs."""
        names_by_ref = {StateRow.ref_to(*name): name for name in names}
        missing = [ref for ref in names_by_ref if ref not in self._cache]
        with suppress(RetryableError, TerminalError):
            stored = self._store.get_all(missing)
            for ref in missing:
                self._remember(ref, stored.get(ref) or _empty_row(*names_by_ref[ref]))

    def _count_next(self, groups: Sequence[_Group]) -> None:
        """Count the next portion of each group. After a conflict the portion stays for a retry."""
        written: list[tuple[_Group, _Draft, StateRow]] = []
        puts: list[list[Put]] = []
        for group in groups:
            try:
                draft = self._folded(group)
                if draft.fresh:
                    row, sealed = self._rows(draft)
                    written.append((group, draft, row))
                    puts.append([Put(row), *map(Put, sealed)])
                else:
                    self._finish(group, draft, draft.row)
            except (RetryableError, TerminalError) as error:
                group.failure = error
        failures = self._store.write_each(puts)
        for (group, draft, row), failure in zip(written, failures, strict=True):
            if failure is None:
                self._finish(group, draft, row.but(version=row.version + 1))
            elif isinstance(failure, ConflictError):
                self._cache.pop(group.ref, None)
                group.conflict()
            else:
                group.failure = failure

    def _folded(self, group: _Group) -> _Draft:
        row = self._cache.get(group.ref) or self._store.get(group.ref)
        row = row or _empty_row(*group.name)
        draft = _Draft(row, unpack(row.ids))
        for event in group.portions[0]:
            self._add(draft, event)
        return draft

    def _finish(self, group: _Group, draft: _Draft, row: StateRow) -> None:
        self._remember(group.ref, row)
        group.finish(draft)

    def _add(self, draft: _Draft, event: CanonicalEvent) -> None:
        day, key = event.occurred_at // DAY, id_hash(event.event_id)
        if any(key in self._counted_ids(draft, near) for near in self._days_of(event)):
            draft.repeated.add(event.event_id)
        elif len(counted := self._counted_ids(draft, day)) >= self._machine:
            draft.refused.add(event.event_id)
        else:
            if day <= draft.row.floor:
                draft.sealed[day] = draft.sealed[day].but(ids=pack({day: counted | {key}}))
                draft.changed.add(day)
            else:
                draft.hot[day] = counted | {key}
            draft.fresh.append(event)

    def _days_of(self, event: CanonicalEvent) -> Iterable[int]:
        """Return the days that may hold the event's id: its day if the sender gave the time.

        Otherwise the time is that of a delivery, and another delivery may have had another day."""
        day = event.occurred_at // DAY
        if event.timed:
            return (day,)
        return range(day - self._hot_days, day + self._hot_days + 1)

    def _counted_ids(self, draft: _Draft, day: int) -> frozenset[bytes]:
        if day > draft.row.floor:
            return draft.hot.get(day, frozenset())
        row = self._sealed(draft, day)
        return unpack(row.ids).get(day, frozenset())

    def _sealed(self, draft: _Draft, day: int) -> SealedIdsRow:
        if day not in draft.sealed:
            fragment, account = draft.row.fragment, draft.row.account
            stored = self._store.get(SealedIdsRow.ref_to(fragment, account, day))
            draft.sealed[day] = stored or SealedIdsRow(fragment=fragment, account=account, day=day)
        return draft.sealed[day]

    def _rows(self, draft: _Draft) -> tuple[StateRow, list[SealedIdsRow]]:
        """Return the rows to write: the state row and the changed sealed rows."""
        floor = self._seal_days(draft)
        row = draft.row.but(
            state=journey.fold(draft.row.state, draft.fresh), ids=pack(draft.hot), floor=floor
        )
        return row, [draft.sealed[day] for day in sorted(draft.changed)]

    def _seal_days(self, draft: _Draft) -> int:
        """Move the oldest days to sealed rows until the state row is within its limits.

        Returns the new floor: the newest sealed day."""
        floor = draft.row.floor
        days = sorted(draft.hot)
        while len(days) > 1 and self._too_large(days, draft.hot):
            day = days.pop(0)
            floor = max(floor, day)
            ids = draft.hot.pop(day) | unpack(self._sealed(draft, day).ids).get(day, frozenset())
            draft.sealed[day] = draft.sealed[day].but(ids=pack({day: ids}))
            draft.changed.add(day)
        return floor

    def _too_large(self, days: Sequence[int], hot: Mapping[int, frozenset[bytes]]) -> bool:
        return (
            days[-1] - days[0] >= self._hot_days
            or sum(len(hot[day]) for day in days) > self._hot_ids
        )

    def _remember(self, ref: Ref[StateRow], row: StateRow) -> None:
        self._cache[ref] = row
        self._cache.move_to_end(ref)
        if len(self._cache) > CACHED_ROWS:
            self._cache.popitem(last=False)


def _empty_row(fragment: str, account: str) -> StateRow:
    return StateRow(fragment=fragment, account=account, state=journey.EMPTY)


def _portions(events: Sequence[CanonicalEvent]) -> Iterator[Sequence[CanonicalEvent]]:
    """Split events into portions of at most DAYS_AT_ONCE days.

    Each day may need a sealed row, and a transaction has at most 100 rows."""
    days = sorted({event.occurred_at // DAY for event in events})
    for start in range(0, len(days), DAYS_AT_ONCE):
        portion = frozenset(days[start : start + DAYS_AT_ONCE])
        yield [event for event in events if event.occurred_at // DAY in portion]
