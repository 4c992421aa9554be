"""Remembered: cache identity rows, so that linking reads each of them about once.

A cached row may be stale, and two cached rows may be of different ages. So every write must put or
check all rows that its decision depends on. A stale row then causes a conflict and no wrong write.
After a conflict the cache drops the rows of that write. It caches the absence of a row too.
See docs/adr/0009.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from desireline.errors import RetryableError
from desireline.events import CanonicalEvent
from desireline.ports import Store
from desireline.rows import AccountRow, AliasRow, Check, PersonRow, Put, Ref, Row, SubjectRow

R = TypeVar("R", bound=Row)

REMEMBERED_ROWS = 20_000


class Remembered:
    """A Store that caches the rows of another one. limit: the most rows to cache.

    replaying: whether the current event is a replay's. Written rows are then marked `replayed`.
    """

    def __init__(self, store: Store, *, limit: int = REMEMBERED_ROWS) -> None:
        self._store = store
        self._limit = limit
        self._rows: OrderedDict[Ref[Any], Row | None] = OrderedDict()
        self.replaying = False

    def get(self, ref: Ref[R]) -> R | None:
        """Return the cached row, or read it."""
        return self.get_all([ref]).get(ref)

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        """Return the rows that exist. One request reads all rows that are not cached."""
        missing = [ref for ref in dict.fromkeys(refs) if ref not in self._rows]
        if missing:
            stored = self._store.get_all(missing)
            for ref in missing:
                self._rows[ref] = stored.get(ref)
        rows = {ref: row for ref in refs if (row := self._rows[ref]) is not None}
        self._make_room()
        return rows  # type: ignore[return-value]  # a Ref[R] leads to an R

    def recall(self, ref: Ref[R]) -> R | None:
        """Return the row if it is cached. Reads nothing."""
        row: Any = self._rows.get(ref)
        return row  # type: ignore[no-any-return]  # a Ref[R] leads to an R

    def query(self, row_type: type[R], pk: str) -> list[R]:
        """Read the rows, without the cache."""
        return self._store.query(row_type, pk)

    def write(self, *writes: Put | Check) -> None:
        """Write, and cache the written rows. Raises what the store raises."""
        writes = tuple(self._marked(write) for write in writes)
        try:
            self._store.write(*writes)
        except RetryableError:
            self.forget(*(write.row.ref for write in writes))
            raise
        for write in writes:
            if isinstance(write, Put):
                self._rows[write.row.ref] = write.row.but(version=write.row.version + 1)

    def forget(self, *refs: Ref[Any]) -> None:
        """Drop these rows from the cache, or all rows if there are no arguments."""
        if not refs:
            self._rows.clear()
        for ref in refs:
            self._rows.pop(ref, None)

    def _marked(self, write: Put | Check) -> Put | Check:
        row = write.row
        if isinstance(write, Put) and isinstance(row, PersonRow | SubjectRow | AccountRow):
            return Put(row.but(replayed=self.replaying))
        return write

    def _make_room(self) -> None:
        while len(self._rows) > self._limit:
            self._rows.popitem(last=False)


def prefetch(store: Store, events: Sequence[CanonicalEvent]) -> None:
    """Read the aliases, persons, accounts and subjects of a batch into a store that caches them.

    Each level of these rows is one request for all events. Without it each event makes four. A row
    behind several tombstones is not read here. Raises what the store raises."""
    aliases = {alias.fragment: alias.type for event in events for alias in event.aliases}
    accounts = [account.key for event in events for account in event.accounts]
    rows = store.get_all([AliasRow.ref_to(kind, fragment) for fragment, kind in aliases.items()])
    roots = {fragment: fragment for fragment in aliases}
    roots |= {row.fragment: row.root for row in rows.values()}
    persons = _persons(store, roots.values())
    persons |= _persons(store, [p.merged_into for p in persons.values() if p.merged_into])
    subjects = [person.subject for person in persons.values()]
    subjects += [root for root in roots.values() if root not in persons]
    account_rows = store.get_all([AccountRow.ref_to(key) for key in dict.fromkeys(accounts)])
    subjects += [row.subject for row in account_rows.values()]
    store.get_all([SubjectRow.ref_to(subject) for subject in dict.fromkeys(subjects)])


def _persons(store: Store, fragments: Iterable[str]) -> dict[str, PersonRow]:
    rows = store.get_all([PersonRow.ref_to(fragment) for fragment in dict.fromkeys(fragments)])
    return {person.fragment: person for person in rows.values()}
