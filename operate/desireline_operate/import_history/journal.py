"""What of a file is in Kafka: a journal, a line a chunk; and beside it the rows not taken.

A journal is of one file (its SHA-256), one way to read it and one Kafka cluster; changed bytes, a
changed mapping or a cluster made anew begin another one. A line is written when Kafka has the
chunk, after its rejects. What a crash cut off is dropped when it is opened again: the chunk is
taken once more, and counted once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from desireline_operate.import_history.worker import Done


class Totals:
    """Of a file: rows by what became of them."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def add(self, line: Mapping[str, Any]) -> None:
        """A journal's line."""
        self.accepted += line["accepted"]
        self.rejected.update(line["rejected"])
        self.left_out.update(line["left_out"])

    def __add__(self, other: Totals) -> Totals:
        both = Totals()
        for one in (self, other):
            both.accepted += one.accepted
            both.rejected.update(one.rejected)
            both.left_out.update(one.left_out)
        return both


class Journal:
    """A context manager. done: numbers of chunks. totals: over all runs."""

    def __init__(self, path: Path, rejects: Path) -> None:
        self._path = path
        self._rejects_path = rejects
        self.done: set[int] = set()
        self.totals = Totals()
        self.finished = False
        self._rejects_bytes = 0
        self._lines: BinaryIO | None = None
        self._rejects: BinaryIO | None = None

    def __enter__(self) -> Journal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        end = self._read()
        self._lines = self._path.open("r+b" if self._path.exists() else "w+b")
        self._lines.truncate(end)
        self._lines.seek(end)
        if self._rejects_path.exists():
            self._rejects_bytes = min(self._rejects_bytes, self._rejects_path.stat().st_size)
            with self._rejects_path.open("r+b") as file:
                file.truncate(self._rejects_bytes)
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._lines, self._rejects):
            if file is not None:
                file.close()

    def add(self, done: Done) -> None:
        """Kafka has this chunk."""
        if done.rejects:
            self._write_rejects(done)
        self._line(
            {
                "chunk": done.number,
                "accepted": done.accepted,
                "rejected": dict(Counter(one.reason for one in done.rejects)),
                "left_out": dict(done.left_out),
                "rejects_bytes": self._rejects_bytes,
            }
        )

    def finish(self) -> None:
        """The whole file is in Kafka."""
        if not self.finished:
            self._line({"finished": True})

    def _line(self, line: Mapping[str, Any]) -> None:
        assert self._lines is not None
        self._lines.write(orjson.dumps(line) + b"\n")
        self._lines.flush()
        self._take(line)

    def _write_rejects(self, done: Done) -> None:
        if self._rejects is None:
            opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731 — personal data
            self._rejects = open(self._rejects_path, "ab", opener=opener)  # noqa: PTH123, SIM115
        for one in done.rejects:
            line = {"line": one.line, "reason": one.reason, "detail": one.detail, "row": one.text}
            self._rejects_bytes += self._rejects.write(orjson.dumps(line) + b"\n")
        self._rejects.flush()

    def _read(self) -> int:
        """Take over what is there; where the last whole line ends."""
        if not self._path.exists():
            return 0
        end = 0
        for raw in self._path.read_bytes().splitlines(keepends=True):
            try:
                line = orjson.loads(raw)
            except orjson.JSONDecodeError:
                break
            if not raw.endswith(b"\n"):
                break
            end += len(raw)
            self._take(line)
        return end

    def _take(self, line: Mapping[str, Any]) -> None:
        if "finished" in line:
            self.finished = True
            return
        self.done.add(line["chunk"])
        self.totals.add(line)
        self._rejects_bytes = line["rejects_bytes"]
