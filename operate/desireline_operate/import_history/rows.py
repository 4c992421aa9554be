"""Parse the records of a chunk. A record that cannot be parsed keeps its line and text."""

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
_TRUTHS = {"true": True, "TRUE": True, "True": True, "false": False, "FALSE": False, "False": False}


class Row(NamedTuple):
    """A record. value: None if the record cannot be parsed; `broken` is then the reason. raw: the
    record as read, for the file of rejected rows."""

    line: int
    value: Any
    raw: Any
    broken: str = ""

    @property
    def text(self) -> str:
        """Return the record's text in the file, or an equivalent text."""
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
    """Return the function that parses the chunks of this file."""
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
    """Parse CSV. Empty cells are left out; numbers and truth values are converted.

    The key `$text` holds all cells as text, because an identifier must not lose its leading zeros.
    A line ends with a line feed."""
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
    if cell[0] in "-0123456789" and (number := _NUMBER.fullmatch(cell)):
        return float(cell) if number[2] else int(cell)
    return _TRUTHS.get(cell, cell)


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
