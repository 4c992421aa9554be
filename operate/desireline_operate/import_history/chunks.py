"""Cut a file into chunks at the ends of records. A worker imports one chunk at a time.

The cuts depend only on the bytes. So a second run finds the same chunks, and imports only the
unfinished ones. A file is read once, and is never in memory as a whole.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from desireline_operate.import_history.files import Container, FileError, HistoryFile

CHUNK_BYTES = 1 << 20
RECORD_LIMIT = 64 << 20
"""Bytes of a record at most: a longer one is a sign of a wrong format or an open quote."""
PARQUET_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records. number: from 0. line: of the first record, from 1 (in Parquet: its row).
    share: the part of the file up to the end of this chunk, 0 to 1."""

    number: int
    line: int
    share: float
    data: bytes


def chunks(file: HistoryFile, *, size: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield the file's chunks in order. Raises FileError if the file is damaged."""
    if file.container is Container.PARQUET:
        yield from _parquet(file.path)
        return
    total = file.path.stat().st_size or 1
    try:
        with file.path.open("rb") as raw:
            opened: Any = gzip.GzipFile(fileobj=raw) if file.gzipped else raw
            line, lead = file.first_line, opened.read(file.header_bytes)
            if len(lead) < file.header_bytes:
                raise FileError(f"{file.path} is shorter than its header: copy the file again")
            quoted = file.container is Container.CSV
            for number, data in enumerate(_whole_records(opened, size, quoted=quoted)):
                yield Chunk(number, line, min(1.0, raw.tell() / total), data)
                line += data.count(b"\n")
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise FileError(
            f"{file.path} cannot be read to its end: {error}. Copy the file again"
        ) from error


def _whole_records(stream: BinaryIO, size: int, *, quoted: bool) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(size):
        rest += block
        end = _cut(rest, quoted=quoted)
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > RECORD_LIMIT:
            raise FileError(
                f"no record ends within {RECORD_LIMIT >> 20} MB: look for a quote left open"
            )
    if rest:
        yield rest


def _cut(data: bytes, *, quoted: bool) -> int:
    """Return the position after the last whole record in the data, or 0 without one.

    In CSV a line break ends a record only after an even number of quotes: a quote inside a quoted
    field is written twice."""
    end = data.rfind(b"\n") + 1
    if not quoted:
        return end
    odd = data.count(b'"', 0, end) % 2
    while odd and end:
        before = data.rfind(b"\n", 0, end - 1) + 1
        odd ^= data.count(b'"', before, end) % 2
        end = before
    return end


def _parquet(path: Path) -> Iterator[Chunk]:
    """Yield batches of rows in Arrow's stream format, with times in epoch milliseconds."""
    import pyarrow as pa  # noqa: PLC0415 — only with the extra "parquet"
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        opened = pq.ParquetFile(path)
        total, row = opened.metadata.num_rows or 1, 0
        for number, batch in enumerate(opened.iter_batches(batch_size=PARQUET_ROWS)):
            buffer = io.BytesIO()
            plain = _plain(batch, pa)
            with pa.ipc.new_stream(buffer, plain.schema) as writer:
                writer.write_batch(plain)
            row += batch.num_rows
            yield Chunk(number, row - batch.num_rows + 1, row / total, buffer.getvalue())
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path} is not readable as Parquet: {error}. Export it again") from error


def _plain(batch: Any, pa: Any) -> Any:
    """Convert times to epoch milliseconds and decimals to floats, because JSON has neither."""
    columns = []
    for column in batch.columns:
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())  # noqa: PLW2901
        elif pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())  # noqa: PLW2901
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
