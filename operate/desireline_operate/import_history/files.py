"""Recognise a file: its container, its format, its header and its first record."""

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
    """The container of a file's records."""

    NDJSON = "NDJSON"
    CSV = "CSV"
    PARQUET = "Parquet"


class Format(StrEnum):
    """The format of a file's records. MAPPED: a mapping file describes them."""

    SEGMENT = "segment"
    SEGMENT_WAREHOUSE = "segment_warehouse"
    MIXPANEL = "mixpanel"
    GA4 = "ga4"
    MAPPED = "mapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """A file to import. columns: of CSV. header_bytes: bytes before the first record. first_line:
    the line of the first record. first: the first record; None in an empty file."""

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
        """Recognise the format by the first record; None if it fits no format."""
        return _detect_format(self.first) if isinstance(self.first, dict) else None


def inspect_file(path: Path, *, delimiter: str | None = None) -> HistoryFile:
    """Recognise the file by its first bytes. Raises FileError."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            gzipped = magic.startswith(GZIP)
            head = (gzip.GzipFile(fileobj=raw) if gzipped else raw).read(HEAD)
    except (EOFError, gzip.BadGzipFile) as error:
        raise FileError(f"cannot read {path}: {error}. Copy the file again") from error
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    if magic == PARQUET:
        return HistoryFile(path=path, container=Container.PARQUET, first=_first_of_parquet(path))
    text = head.removeprefix(BOM)
    lead = len(head) - len(text)
    start = text.lstrip()[:1]
    if start == b"[":
        raise FileError(f"{path} is one JSON array: write one object per line with jq -c '.[]'")
    if start in (b"{", b""):
        first = _parsed(text.lstrip().partition(b"\n")[0])
        return HistoryFile(
            path=path, container=Container.NDJSON, gzipped=gzipped, header_bytes=lead, first=first
        )
    return _csv(path, text, gzipped=gzipped, lead=lead, delimiter=delimiter)


def digest(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """Return the SHA-256 of the file's bytes. report: receives the size of each block."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            sha256.update(block)
            report(len(block))
    return sha256.hexdigest()


def _csv(
    path: Path, text: bytes, *, gzipped: bool, lead: int, delimiter: str | None
) -> HistoryFile:
    line = text[: text.find(b"\n") + 1] or text
    try:
        header = line.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is neither JSON, CSV in UTF-8 nor Parquet: convert it to one of them"
        ) from error
    used = delimiter or max(",;\t|", key=header.count)
    columns = next(csv.reader([header], delimiter=used), [])
    if len(columns) < 2 or header.count('"') % 2:
        raise FileError(f"{path} has no header in its first line: write the names of the columns")
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
        raise FileError("Parquet needs pyarrow: install the extra 'parquet'") from error
    try:
        rows = next(pq.ParquetFile(path).iter_batches(batch_size=1), None)
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path} is not readable as Parquet: {error}. Export it again") from error
    return rows.to_pylist()[0] if rows is not None and rows.num_rows else None


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _detect_format(first: dict[str, Any]) -> Format | None:
    if "event_params" in first and "event_timestamp" in first:
        return Format.GA4
    if isinstance(first.get("properties"), dict) and "event" in first and "type" not in first:
        properties = first["properties"]
        if "time" in properties and ("distinct_id" in properties or "$insert_id" in properties):
            return Format.MIXPANEL
    if "type" in first and ("messageId" in first or "anonymousId" in first or "userId" in first):
        return Format.SEGMENT
    if {"id", "received_at", "sent_at"} <= first.keys() or {
        *("id", "received_at", "uuid_ts"),
    } <= first.keys():
        return Format.SEGMENT_WAREHOUSE
    return None
