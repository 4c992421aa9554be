"""Archive files: how they are named and what is in them.

One file for each topic and invocation. Its name is a function of the ranges of records that it
holds, so that a retry of the same batch writes the same file.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from desireline.records import Record

LAYOUT = "v1"


def name(records: Sequence[Record]) -> str:
    """`<topic>/v1/YYYY/MM/DD/HH/<partition>-<offset>-<hash of the ranges>.ndjson.gz`: the hour is
    that of the first record's broker timestamp (UTC), numbers are zero-padded."""
    first = min(records, key=lambda record: (record.partition, record.offset))
    hour = datetime.fromtimestamp(first.timestamp / 1000, UTC)
    place = f"{first.partition:05d}-{first.offset:019d}-{_ranges(records)}"
    return f"{first.topic}/{LAYOUT}/{hour:%Y/%m/%d/%H}/{place}.ndjson.gz"


def lines(records: Iterable[Record]) -> bytes:
    """The file's bytes: one JSON object a line, gzipped; equal records give equal bytes."""
    text = b"".join(orjson.dumps(_line(record)) + b"\n" for record in records)
    return gzip.compress(text, compresslevel=6, mtime=0)


def _ranges(records: Sequence[Record]) -> str:
    """A hash of the exact offsets held: bisected batches are other files."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        digest.update(b"%d:%d;" % (record.partition, record.offset))
    return digest.hexdigest()[:16]


def _line(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "headers": {
            name: value.decode("utf-8", "replace") for name, value in record.headers.items()
        },
        "payload": _payload(record.value),
    }


def _payload(value: bytes | None) -> Any:
    """The message; bytes that are no JSON are kept as they are, so that nothing is lost."""
    if value is None:
        return None
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return {"unreadable": base64.b64encode(value).decode()}
