"""Counting: a fragment's row knows what it has counted (delivery rule 2).

The row of (fragment, account) holds the folded state and the ids of the newest days; one
conditional put writes both, so that nothing can come between counting and remembering. Ids of
older days lie sealed in rows of their own, touched only when a day is closed or an older event
arrives, then in one transaction with the state.
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
"""16 KB of ids in the row: every put rewrites it. A single day of more stays, 40 KB at most."""
MACHINE_EVENTS_A_DAY = 5_000
CACHED_ROWS = 5_000
ATTEMPTS = 20
DAYS_AT_ONCE = 60


@dataclass(frozen=True, slots=True)
class Folded:
    """What became of the events of one row, by event id.

    counted: for the first time. repeated: counted before. refused: of a fragment that is a machine.
    """

    counted: frozenset[str]
    repeated: frozenset[str]
    refused: frozenset[str]


@dataclass(slots=True)
class _Draft:
    """A row on its way to the next version. Sealed days are read when they are first asked for."""

    row: StateRow
    hot: Ids
    sealed: dict[int, SealedIdsRow] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    fresh: list[CanonicalEvent] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Group:
    """The events of one row, named by (fragment, account). portions: those not counted yet."""

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
        """The first portion is counted."""
        del self.portions[0]
        self.attempts = 0
        self.counted |= {event.event_id for event in draft.fresh}
        self.repeated |= draft.repeated
        self.refused |= draft.refused

    def conflict(self) -> None:
        """The first portion met a row that had changed."""
        self.attempts += 1
        if self.attempts == ATTEMPTS:
            self.failure = ConflictError(f"state row changed {ATTEMPTS} times while it was folded")

    def outcome(self) -> Folded | Failure:
        """What became of all portions."""
        if self.failure is not None:
            return self.failure
        return Folded(frozenset(self.counted), frozenset(self.repeated), frozenset(self.refused))


class Fold:
    """Folds events into state rows. Keeps rows that it wrote or read; a stale one costs a
    conflict, never a wrong count."""

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
        """Count these events, all of that fragment and account, each once.

        Raises RetryableError when the row could not be written; nothing is counted then, or all
        is and the next try finds it so.
        """
        name = (fragment, account)
        outcome = self.count_all({name: events})[name]
        if isinstance(outcome, Folded):
            return outcome
        raise outcome

    def count_all(
        self, groups: Mapping[tuple[str, str], Sequence[CanonicalEvent]]
    ) -> dict[tuple[str, str], Folded | Failure]:
        """Count the events of each (fragment, account), each once. The rows are independent: they
        are written at once, and one that fails leaves the others alone."""
        counting = {name: _Group(name, list(_few_days_each(e))) for name, e in groups.items()}
        while pending := [group for group in counting.values() if group.pending]:
            self._count_next(pending)
        return {name: group.outcome() for name, group in counting.items()}

    def look_ahead(self, places: Iterable[tuple[str, str]]) -> None:
        """Read these rows, of (fragment, account), at once. Only a saving: what cannot be read now
        is asked for again when it is counted."""
        names = {StateRow.ref_to(*place): place for place in places}
        unseen = [place for place in names if place not in self._cache]
        with suppress(RetryableError, TerminalError):
            found = self._store.get_all(unseen)
            for place in unseen:
                self._remember(place, found.get(place) or _first_row(*names[place]))

    def _count_next(self, groups: Sequence[_Group]) -> None:
        """Count the next portion of each. What conflicts stays, to be read and folded again."""
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
        row = row or _first_row(*group.name)
        draft = _Draft(row, unpack(row.ids))
        for event in group.portions[0]:
            self._take(draft, event)
        return draft

    def _finish(self, group: _Group, draft: _Draft, row: StateRow) -> None:
        """The group's next portion is counted: this row holds it."""
        self._remember(group.ref, row)
        group.finish(draft)

    def _take(self, draft: _Draft, event: CanonicalEvent) -> None:
        day, key = event.occurred_at // DAY, id_hash(event.event_id)
        if any(key in self._known(draft, near) for near in self._days_of(event)):
            draft.repeated.add(event.event_id)
        elif len(known := self._known(draft, day)) >= self._machine:
            draft.refused.add(event.event_id)
        else:
            if day <= draft.row.floor:
                draft.sealed[day] = draft.sealed[day].but(ids=pack({day: known | {key}}))
                draft.changed.add(day)
            else:
                draft.hot[day] = known | {key}
            draft.fresh.append(event)

    def _days_of(self, event: CanonicalEvent) -> Iterable[int]:
        """Where the event's id may lie: its day, or, when the sender gave no time and another
        delivery of it has carried another, the days around it. Copies may come in any order."""
        day = event.occurred_at // DAY
        if event.timed:
            return (day,)
        return range(day - self._hot_days, day + self._hot_days + 1)

    def _known(self, draft: _Draft, day: int) -> frozenset[bytes]:
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
        """What is to be written: the state's row, and those of sealed days."""
        floor = self._close_days(draft)
        row = draft.row.but(
            state=journey.fold(draft.row.state, draft.fresh), ids=pack(draft.hot), floor=floor
        )
        return row, [draft.sealed[day] for day in sorted(draft.changed)]

    def _close_days(self, draft: _Draft) -> int:
        """Move the oldest days out of the row while there are too many days or ids in it."""
        floor = draft.row.floor
        days = sorted(draft.hot)
        while len(days) > 1 and self._too_heavy(days, draft.hot):
            day = days.pop(0)
            floor = max(floor, day)
            ids = draft.hot.pop(day) | unpack(self._sealed(draft, day).ids).get(day, frozenset())
            draft.sealed[day] = draft.sealed[day].but(ids=pack({day: ids}))
            draft.changed.add(day)
        return floor

    def _too_heavy(self, days: Sequence[int], hot: Mapping[int, frozenset[bytes]]) -> bool:
        return (
            days[-1] - days[0] >= self._hot_days
            or sum(len(hot[day]) for day in days) > self._hot_ids
        )

    def _remember(self, place: Ref[StateRow], row: StateRow) -> None:
        self._cache[place] = row
        self._cache.move_to_end(place)
        if len(self._cache) > CACHED_ROWS:
            self._cache.popitem(last=False)


def _first_row(fragment: str, account: str) -> StateRow:
    return StateRow(fragment=fragment, account=account, state=journey.EMPTY)


def _few_days_each(events: Sequence[CanonicalEvent]) -> Iterator[Sequence[CanonicalEvent]]:
    """The events in portions of few days, so that a transaction's rows stay under its limit."""
    days = sorted({event.occurred_at // DAY for event in events})
    for start in range(0, len(days), DAYS_AT_ONCE):
        portion = frozenset(days[start : start + DAYS_AT_ONCE])
        yield [event for event in events if event.occurred_at // DAY in portion]
