"""In-memory ports for tests and for the demo's comparison run.

They check the same conditions as the real ports, but never wait or fail. The simulation wraps them
to interleave calls and to crash.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from desireline.errors import ConflictError, Failure, RetryableError, TerminalError
from desireline.rows import ANNOUNCED_ROWS, Change, Check, Put, Ref, Row

R = TypeVar("R", bound=Row)
_Key = tuple[str, str, str]

TRANSACTION_LIMIT = 100


class MemoryStore:
    """All tables as one dictionary. streams: for each row, the changes that are not read yet."""

    def __init__(self) -> None:
        self.rows: dict[_Key, Row] = {}
        self.streams: dict[_Key, list[Change]] = defaultdict(list)
        self.reads = 0
        self.writes = 0
        self._ids = itertools.count(1)

    def get(self, ref: Ref[R]) -> R | None:
        self.reads += 1
        return self._typed(ref, self.rows.get(_key(ref)))

    def get_all(self, refs: Sequence[Ref[R]]) -> dict[Ref[R], R]:
        self.reads += len(set(refs))
        rows = ((ref, self._typed(ref, self.rows.get(_key(ref)))) for ref in refs)
        return {ref: row for ref, row in rows if row is not None}

    def query(self, row_type: type[R], pk: str) -> list[R]:
        rows = [
            row
            for (table, key, _), row in sorted(self.rows.items())
            if table == row_type.table and key == pk and isinstance(row, row_type)
        ]
        self.reads += max(1, len(rows))
        return rows

    def write(self, *writes: Put | Check) -> None:
        keys = [_key(write.row.ref) for write in writes]
        if len(writes) > TRANSACTION_LIMIT or len(set(keys)) < len(keys):
            raise ValueError("a transaction writes at most 100 rows, each once")
        for key, write in zip(keys, writes, strict=True):
            stored = self.rows.get(key)
            if (stored.version if stored else 0) != write.row.version:
                raise ConflictError(f"{key} is not at version {write.row.version}")
        for key, write in zip(keys, writes, strict=True):
            if isinstance(write, Put):
                self._store(key, write.row)

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        return [failure_of(self.write, writes) for writes in transactions]

    def _store(self, key: _Key, row: Row) -> None:
        old = self.rows.get(key)
        new = row.but(version=row.version + 1)
        self.rows[key] = new
        self.writes += 1
        if type(row) in ANNOUNCED_ROWS:
            self.streams[key].append(Change(f"{next(self._ids)}", old, new))

    @staticmethod
    def _typed(ref: Ref[R], row: Row | None) -> R | None:
        return row if isinstance(row, ref.type) else None


def failure_of(write: Callable[..., None], writes: Sequence[Put | Check]) -> Failure | None:
    """Write, and return the error instead of raising it."""
    try:
        write(*writes)
    except (RetryableError, TerminalError) as error:
        return error
    return None


def _key(ref: Ref[Any]) -> _Key:
    return (ref.type.table, ref.pk, ref.sk)
