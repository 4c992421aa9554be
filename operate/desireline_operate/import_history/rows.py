"""The records of a chunk, one by one; what cannot be read is told with its line and its text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from desireline_operate.import_history.chunks import Chunk
from desireline_operate.import_history.files import Container, HistoryFile

TEXT = "$text"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
_WORDS = {"true": True, "TRUE": True, "True": True, "false": False, "FALSE": False, "False": False}


class Row(NamedTuple):
    """A record. value: None where it cannot be read, and `broken` says why. raw: as it was read,
    for whoever has to set it aside."""

    line: int
    value: Any
    raw: Any
    broken: str = ""

    @property
    def text(self) -> str:
        """As it stands in the file, or so that it can be read like that."""
        match self.raw:
            case bytes():
                return self.raw.decode(errors="replace")
            case list():
                return _written(self.raw)
            case _:
                return orjson.dumps(self.raw, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


csv.field_size_limit(1 << 26)

Reader = Callable[[Chunk], Iterator[Row]]


def reader(file: HistoryFile) -> Reader:
    """What reads the chunks of this file."""
    match file.container:
        case Container.NDJSON:
            return _lines
        case Container.CSV:
            return lambda chunk: _cells(chunk, file.columns, file.delimiter)
        case Container.PARQUET:
            return _batch


def _lines(chunk: Chunk) -> Iterator[Row]:
    loads = orjson.loads
    for line, text in enumerate(chunk.data.split(b"\n"), chunk.line):
        if not text or text.isspace():
            continue
        try:
            value = loads(text)
        except orjson.JSONDecodeError:
            yield Row(line, None, text, "not_json")
            continue
        if type(value) is dict:
            yield Row(line, value, text)
        else:
            yield Row(line, None, text, "not_an_object")


def _cells(chunk: Chunk, columns: Sequence[str], delimiter: str) -> Iterator[Row]:
    """Empty cells are none at all. What is a number or a truth is one; `$text` has all as text, for
    identifiers, which must not lose a zero. Lines are those that end with a line feed."""
    text = chunk.data.decode(errors="replace")
    damaged = "\ufffd" in text
    reading = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)
    line = chunk.line
    while True:
        try:
            cells = next(reading, None)
        except csv.Error:
            yield Row(line, None, [], "not_csv")
            cells = []
        if cells is None:
            return
        if cells:
            if len(cells) != len(columns):
                yield Row(line, None, cells, "columns")
            elif damaged and "\ufffd" in "".join(cells):
                yield Row(line, None, cells, "not_utf8")
            else:
                texts = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
                value: dict[str, Any] = {name: _typed(cell) for name, cell in texts.items()}
                value[TEXT] = texts
                yield Row(line, value, cells)
        line = chunk.line + reading.line_num


def _typed(cell: str) -> Any:
    if cell[0] in "-0123456789" and (found := _NUMBER.fullmatch(cell)):
        return float(cell) if found[2] else int(cell)
    return _WORDS.get(cell, cell)


def _written(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def _batch(chunk: Chunk) -> Iterator[Row]:
    import pyarrow as pa  # noqa: PLC0415 — only with the extra "parquet"

    with pa.ipc.open_stream(chunk.data) as stream:
        rows = stream.read_all().to_pylist()
    for line, row in enumerate(rows, chunk.line):
        yield Row(line, {name: cell for name, cell in row.items() if cell is not None}, row)
