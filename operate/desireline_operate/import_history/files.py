"""What a file is: its container, its format, what lies in its first lines."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

HEAD = 1 << 18
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
BOM = b"\xef\xbb\xbf"


class FileError(Exception):
    """The file cannot be imported; the message says why and what to do."""


class Container(StrEnum):
    """How records lie in a file."""

    NDJSON = "NDJSON"
    CSV = "CSV"
    PARQUET = "Parquet"


class Format(StrEnum):
    """What records are. MAPPED: what a mapping file says."""

    SEGMENT = "segment"
    SEGMENT_WAREHOUSE = "segment_warehouse"
    MIXPANEL = "mixpanel"
    GA4 = "ga4"
    MAPPED = "mapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """columns: of CSV. header_bytes: what is before the first record; first_line: that record's.
    first: the first record, empty where there is none."""

    path: Path
    container: Container
    gzipped: bool = False
    columns: Sequence[str] = ()
    delimiter: str = ","
    header_bytes: int = 0
    first_line: int = 1
    first: Any = None

    @property
    def format(self) -> Format | None:
        """What its first record looks like; None where nothing says it."""
        return _format(self.first) if isinstance(self.first, dict) else None


def look_at(path: Path, *, delimiter: str | None = None) -> HistoryFile:
    """What the file is, by its first bytes. Raises FileError."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            gzipped = magic.startswith(GZIP)
            head = (gzip.GzipFile(fileobj=raw) if gzipped else raw).read(HEAD)
    except (EOFError, gzip.BadGzipFile) as error:
        raise FileError(f"{path} cannot be read: {error}") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if magic == PARQUET:
        return HistoryFile(path=path, container=Container.PARQUET, first=_first_of_parquet(path))
    text = head.removeprefix(BOM)
    lead = len(head) - len(text)
    start = text.lstrip()[:1]
    if start == b"[":
        raise FileError(f"{path} is one JSON array: write an object a line, jq -c '.[]' does")
    if start in (b"{", b""):
        first = _parsed(text.lstrip().partition(b"\n")[0])
        return HistoryFile(
            path=path, container=Container.NDJSON, gzipped=gzipped, header_bytes=lead, first=first
        )
    return _csv(path, text, gzipped=gzipped, lead=lead, delimiter=delimiter)


def digest(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of the file's bytes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            found.update(block)
            report(len(block))
    return found.hexdigest()


def _csv(
    path: Path, text: bytes, *, gzipped: bool, lead: int, delimiter: str | None
) -> HistoryFile:
    line = text[: text.find(b"\n") + 1] or text
    try:
        header = line.decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is neither JSON, CSV in UTF-8 nor Parquet") from error
    used = delimiter or max(",;\t|", key=header.count)
    columns = next(csv.reader([header], delimiter=used), [])
    if len(columns) < 2 or header.count('"') % 2:
        raise FileError(f"{path} has no header of columns in its first line")
    rest = text[len(line) :].decode(errors="replace")
    row = next(csv.reader(io.StringIO(rest, newline=""), delimiter=used), None)
    first = dict(zip(columns, row, strict=False)) if row else None
    return HistoryFile(
        path=path,
        container=Container.CSV,
        gzipped=gzipped,
        columns=columns,
        delimiter=used,
        header_bytes=lead + len(line),
        first_line=2,
        first=first,
    )


def _first_of_parquet(path: Path) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 — only with the extra "parquet"
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise FileError("Parquet needs pyarrow: the extra 'parquet' has it") from error
    try:
        rows = next(pq.ParquetFile(path).iter_batches(batch_size=1), None)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path} is no Parquet that can be read: {error}") from error
    return rows.to_pylist()[0] if rows is not None and rows.num_rows else None


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _format(first: dict[str, Any]) -> Format | None:
    if "event_params" in first and "event_timestamp" in first:
        return Format.GA4
    if isinstance(first.get("properties"), dict) and "event" in first and "type" not in first:
        given = first["properties"]
        if "time" in given and ("distinct_id" in given or "$insert_id" in given):
            return Format.MIXPANEL
    if "type" in first and ("messageId" in first or "anonymousId" in first or "userId" in first):
        return Format.SEGMENT
    if {"id", "received_at", "sent_at"} <= first.keys() or {
        *("id", "received_at", "uuid_ts"),
    } <= first.keys():
        return Format.SEGMENT_WAREHOUSE
    return None
