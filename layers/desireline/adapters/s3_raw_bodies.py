"""The RawBodies port on the archive of webhooks.raw.

A file's name has the hour of its first record. Its other records are later, or slightly earlier if
they come from another partition. So a search reads the files of a wider span. It skips the files
that were written before the span, because a file is written after its last record.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from desireline.adapters.aws import translated
from desireline.archive.files import LAYOUT
from desireline.contracts import Topic
from desireline.events import RawWebhook
from desireline.ports import Part, Span

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SPREAD = timedelta(hours=24)
"""The longest time between a record and the first one of its file. After a backlog, a batch may
cover hours."""

WRITTEN_RESOLUTION_MS = 1_000


@dataclass(frozen=True, slots=True)
class _File:
    key: str
    written: int


class ArchivedRawBodies:
    """One bucket. The caller needs the rights to list and to read below the topic's prefix."""

    def __init__(self, client: S3Client, bucket: str, *, topic: str = Topic.WEBHOOKS_RAW) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{topic}/{LAYOUT}/"

    def find(self, arrivals: Mapping[str, int]) -> dict[str, RawWebhook]:
        if not arrivals:
            return {}
        bodies: dict[str, RawWebhook] = {}
        files = self._files(min(arrivals.values()), max(arrivals.values()) + 1)
        for file in sorted(files, key=lambda file: file.written):
            missing = arrivals.keys() - bodies.keys()
            if not missing:
                break
            if any(file.written >= arrivals[name] - WRITTEN_RESOLUTION_MS for name in missing):
                for raw in self._lines(file.key):
                    if raw is not None and raw.id in missing:
                        bodies.setdefault(raw.id, raw)
        return bodies

    def span(self, since: int, until: int) -> Span:
        files = self._files(since, until)
        return Span(since, until, tuple(Part(file.key, 0) for file in files))

    def read(self, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        for number, part in enumerate(span.parts):
            rest = span.parts[number + 1 :]
            lines = self._lines(part.name)
            for index, raw in enumerate(lines):
                if index < part.start:
                    continue
                last = index == len(lines) - 1
                left = rest if last else (Part(part.name, index + 1, len(lines)), *rest)
                within = raw is not None and span.since <= (raw.stamped or 0) < span.until
                yield raw if within else None, Span(span.since, span.until, left)

    def _files(self, since: int, until: int) -> list[_File]:
        """Return the files that may contain bodies of these times (epoch ms), by name."""
        first, last = _hour(since, -SPREAD), _hour(until, SPREAD)
        files: list[_File] = []
        with translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, StartAfter=f"{self._prefix}{first}"
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    if item["Key"][len(self._prefix) :] > f"{last}/~":
                        return files
                    written = int(item["LastModified"].timestamp() * 1000)
                    if written + WRITTEN_RESOLUTION_MS >= since:
                        files.append(_File(item["Key"], written))
        return files

    def _lines(self, key: str) -> list[RawWebhook | None]:
        """Return the raw bodies in a file; None for a record that is not a raw webhook."""
        with translated():
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            text = gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            return [None]
        return [_raw(line) for line in text.splitlines()]


def _raw(line: bytes) -> RawWebhook | None:
    try:
        record: dict[str, Any] = orjson.loads(line)
        raw = RawWebhook.model_validate(record["payload"])
    except (orjson.JSONDecodeError, ValidationError, KeyError, TypeError):
        return None
    return (
        raw if raw.stamped is not None else raw.model_copy(update={"stamped": record["timestamp"]})
    )


def _hour(at: int, shifted: timedelta) -> str:
    """Return the path of an hour. Times are limited to the range of `datetime`."""
    moment = datetime.fromtimestamp(min(max(at, 0), 250_000_000_000_000) / 1000, UTC)
    return f"{moment + shifted:%Y/%m/%d/%H}"
