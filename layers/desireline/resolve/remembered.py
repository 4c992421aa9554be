"""Rows that were read or written before, so that linking reads each of them about once.

Safe for what only grows. A remembered row may be old, and rows of different ages may lie side by
side: so whoever writes must put or check every row that the decision rests on. An old one then
costs a conflict, whereupon the rows of that write are forgotten and read anew; it never makes a
wrong write. Absence is remembered too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeVar

from desireline.errors import RetryableError
from desireline.ports import Store
from desireline.rows import AccountRow, Check, PersonRow, Put, Ref, Row, SubjectRow

R = TypeVar("R", bound=Row)

REMEMBERED_ROWS = 20_000


class Remembered:
    """A Store in front of another one, for the rows of one environment.

    replaying: what is written now is owed to a replay, and its rows say so.
    """

    def __init__(self, store: Store, *, limit: int = REMEMBERED_ROWS) -> None:
        self._store = store
        self._limit = limit
        self._rows: OrderedDict[Ref[Any], Row | None] = OrderedDict()
        self.replaying = False

    def get(self, ref: Ref[R]) -> R | None:
        """The row as it was last seen, else as it is."""
        return self.get_all([ref]).get(ref)

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        """The rows that exist, those not seen yet read at once."""
        unseen = [ref for ref in dict.fromkeys(refs) if ref not in self._rows]
        if unseen:
            found = self._store.get_all(unseen)
            for ref in unseen:
                self._rows[ref] = found.get(ref)
        rows = {ref: row for ref in refs if (row := self._rows[ref]) is not None}
        self._make_room()
        return rows  # type: ignore[return-value]  # a Ref[R] leads to an R

    def recall(self, ref: Ref[R]) -> R | None:
        """The row if it is remembered; nothing is read."""
        row: Any = self._rows.get(ref)
        return row  # type: ignore[no-any-return]  # a Ref[R] leads to an R

    def query(self, row_type: type[R], pk: str) -> list[R]:
        """Never remembered."""
        return self._store.query(row_type, pk)

    def write(self, *writes: Put | Check) -> None:
        """Write, and remember what is stored now. Raises what the store raises."""
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
        """Read these anew; all of them if none is named."""
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
