"""The tables, their history, and the store as a process sees it: with others in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from desireline.adapters.memory import MemoryStore, failure_of
from desireline.errors import ConflictError, Failure, ThrottledError, UnavailableError
from desireline.resolve.ids import unpack
from desireline.rows import Change, Check, Put, Ref, Row, SealedIdsRow, StateRow
from tests.simulation.scheduler import Scheduler, Task

R = TypeVar("R", bound=Row)

LATEST_MS = 4_000
"""How long after the caller gave up a write may still arrive."""


@dataclass(frozen=True)
class Written:
    """One row of a write that took place. step: its place among all that happened. began, since:
    the time and the place at which the invocation that wrote it ran its first step."""

    step: int
    at: int
    by: str
    began: int
    since: int
    old: Row | None
    new: Row


class Tables(MemoryStore):
    """Everything that is stored, with all that was ever written. on_change: gets the changes that
    the tables' streams tell, in order. counted: the step at which an event's id was first stored
    with a state, by the id's hash."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Written] = []
        self.steps = 0
        self.counted: dict[bytes, int] = {}
        self.on_change: Callable[[Change], None] = lambda _: None

    def tick(self) -> int:
        """The next place in the order of what happened."""
        self.steps += 1
        return self.steps

    def commit(
        self, writes: Sequence[Put | Check], *, at: int, by: Task, late: bool = False
    ) -> None:
        """Write, and remember what was there before."""
        puts = [write.row for write in writes if isinstance(write, Put)]
        before = [self.rows.get((row.table, row.pk, row.sk)) for row in puts]
        self.write(*writes)
        step = self.tick()
        name = f"{by.name} (late)" if late else by.name
        for row, old in zip(puts, before, strict=True):
            new = self.rows[row.table, row.pk, row.sk]
            self.history.append(Written(step, at, name, by.began, by.since, old, new))
            self._note_counted(new, step)
        for changes in self.streams.values():
            for change in changes:
                self.on_change(change)
        self.streams.clear()

    def _note_counted(self, row: Row, step: int) -> None:
        if isinstance(row, StateRow | SealedIdsRow):
            for ids in unpack(row.ids).values():
                for one in ids:
                    self.counted.setdefault(one, step)


class SimStore:
    """The Store port of one process: every read and write is a step, and may go wrong."""

    def __init__(self, tables: Tables, scheduler: Scheduler) -> None:
        self._tables = tables
        self._scheduler = scheduler

    def get(self, ref: Ref[R]) -> R | None:
        self._before(f"get {ref.pk} {ref.sk}")
        return self._tables.get(ref)

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        """Row by row, in any order: BatchGetItem is no snapshot."""
        found: dict[Ref[R], R] = {}
        order = list(dict.fromkeys(refs))
        self._scheduler.rng.shuffle(order)
        for index, ref in enumerate(order):
            if index == 0 or self._scheduler.rng.random() < 0.25:
                self._before(f"get_all {ref.pk} {ref.sk}")
            row = self._tables.get(ref)
            if row is not None:
                found[ref] = row
        return found

    def query(self, row_type: type[R], pk: str) -> list[R]:
        self._before(f"query {row_type.__name__} {pk}")
        rows: list[R] = []
        for row in self._tables.query(row_type, pk):
            if self._scheduler.rng.random() < 0.25:
                self._before(f"query on {row_type.__name__} {pk}")
            now = self._tables.get(row.ref)
            if now is not None:
                rows.append(now)
        return rows

    def write(self, *writes: Put | Check) -> None:
        scheduler, faults = self._scheduler, self._scheduler.faults
        self._before(f"write {_said(writes)}")
        if scheduler.strikes(faults.conflict):
            raise ConflictError("another transaction on the row was under way")
        if scheduler.strikes(faults.unavailable):
            self._unheard(writes)
        self._commit(writes, scheduler.current)
        if len(writes) == 1 and scheduler.strikes(faults.unavailable):
            scheduler.note("its answer was lost, and the client has repeated it")
            raise ConflictError("the client repeated its own write")
        scheduler.pause("written", risk=4)

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        """In any order, with others in between. A process that dies has made any of them."""
        failures: list[Failure | None] = [None] * len(transactions)
        order = list(range(len(transactions)))
        self._scheduler.rng.shuffle(order)
        for index in order:
            failures[index] = failure_of(self.write, transactions[index])
        return failures

    def _unheard(self, writes: Sequence[Put | Check]) -> None:
        """The caller learns nothing: it was never written, or is by now, or will be."""
        scheduler = self._scheduler
        by = scheduler.current
        match scheduler.rng.randrange(3):
            case 0:
                scheduler.note("the write never arrives")
            case 1:
                self._commit(writes, by)
                scheduler.note("the write's answer is lost")
            case _:
                scheduler.after(1, LATEST_MS, lambda: self._late(writes, by))
        raise UnavailableError("no answer")

    def _late(self, writes: Sequence[Put | Check], by: Task) -> None:
        try:
            self._commit(writes, by, late=True)
        except ConflictError:
            self._scheduler.note(f"{by.name}: the late write is refused")
        else:
            self._scheduler.note(f"{by.name}: late: {_said(writes)}")

    def _commit(self, writes: Sequence[Put | Check], by: Task, *, late: bool = False) -> None:
        self._tables.commit(writes, at=self._scheduler.now, by=by, late=late)

    def _before(self, where: str) -> None:
        scheduler, faults = self._scheduler, self._scheduler.faults
        scheduler.pause(where)
        if scheduler.strikes(faults.throttle):
            raise ThrottledError("slow down")
        if "get" in where and scheduler.strikes(faults.unavailable):
            raise UnavailableError("no answer")


def _said(writes: Sequence[Put | Check]) -> str:
    return ", ".join(
        f"{'' if isinstance(w, Put) else 'check '}{w.row.pk} {w.row.sk} v{w.row.version}"
        for w in writes
    )


def rows_of(tables: MemoryStore, kind: type[R]) -> list[R]:
    """All rows of a kind."""
    return [row for row in tables.rows.values() if isinstance(row, kind)]
