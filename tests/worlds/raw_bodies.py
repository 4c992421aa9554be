"""Raw bodies in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from desireline.events import RawWebhook
from desireline.ports import Part, Span
from desireline.records import Record
from desireline.rows import Row

R = TypeVar("R", bound=Row)
_Key = tuple[str, str, str]

TRANSACTION_LIMIT = 100


class MemoryRawBodies:
    """The RawBodies port on a log that grows: `records` is asked for all that there is."""

    def __init__(self, records: Callable[[], Sequence[Record]]) -> None:
        self._records = records

    def find(self, arrivals: Mapping[str, int]) -> dict[str, RawWebhook]:
        found: dict[str, RawWebhook] = {}
        for record in self._records():
            raw = _raw(record)
            if raw.id in arrivals:
                found.setdefault(raw.id, raw)
        return found

    def span(self, since: int, until: int) -> Span:
        return Span(since, until, (Part("0", 0, len(self._records())),))

    def read(self, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        for part in span.parts:
            for place in range(part.start, part.end or 0):
                raw = _raw(self._records()[place])
                within = span.since <= (raw.stamped or 0) < span.until
                left = Span(span.since, span.until, (Part("0", place + 1, part.end),))
                yield raw if within else None, left


def _raw(record: Record) -> RawWebhook:
    return RawWebhook.decode(record.value or b"")
