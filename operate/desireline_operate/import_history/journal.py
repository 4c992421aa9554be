"""The journal of an import: one line for each chunk that is in Kafka. Rejected rows go to a second
file.

A journal belongs to one file (its SHA-256), one way to read it and one Kafka cluster. Changed
bytes, a changed mapping or a new cluster begin another journal. A chunk's line is written after its
rejected rows, when Kafka has the chunk. If a crash cuts a line off, the next run drops it and
imports the chunk again; its events still count once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from desireline_operate.import_history.worker import ChunkResult


class Totals:
    """The numbers of a file's rows: accepted, rejected by reason, left out by name."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line of a journal."""
        self.accepted += line["accepted"]
        self.rejected.update(line["rejected"])
        self.left_out.update(line["left_out"])

    def __add__(self, other: Totals) -> Totals:
        both = Totals()
        for totals in (self, other):
            both.accepted += totals.accepted
            both.rejected.update(totals.rejected)
            both.left_out.update(totals.left_out)
        return both


class Journal:
    """An import's journal, a context manager. done: the numbers of finished chunks. totals: of all
    runs."""

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

    def add(self, result: ChunkResult) -> None:
        """Record a chunk that is in Kafka, and write its rejected rows."""
        if result.rejects:
            self._write_rejects(result)
        self._append(
            {
                "chunk": result.number,
                "accepted": result.accepted,
                "rejected": dict(Counter(reject.reason for reject in result.rejects)),
                "left_out": dict(result.left_out),
                "rejects_bytes": self._rejects_bytes,
            }
        )

    def finish(self) -> None:
        """Record that the whole file is in Kafka."""
        if not self.finished:
            self._append({"finished": True})

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self._lines is not None
        self._lines.write(orjson.dumps(line) + b"\n")
        self._lines.flush()
        self._apply(line)

    def _write_rejects(self, result: ChunkResult) -> None:
        if self._rejects is None:
            opener = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731 — personal data
            self._rejects = open(self._rejects_path, "ab", opener=opener)  # noqa: PTH123, SIM115
        for reject in result.rejects:
            line = {
                "line": reject.line,
                "reason": reject.reason,
                "detail": reject.detail,
                "row": reject.text,
            }
            self._rejects_bytes += self._rejects.write(orjson.dumps(line) + b"\n")
        self._rejects.flush()

    def _read(self) -> int:
        """Apply the stored lines. Returns the position after the last whole line."""
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
            self._apply(line)
        return end

    def _apply(self, line: Mapping[str, Any]) -> None:
        if "finished" in line:
            self.finished = True
            return
        self.done.add(line["chunk"])
        self.totals.add(line)
        self._rejects_bytes = line["rejects_bytes"]
