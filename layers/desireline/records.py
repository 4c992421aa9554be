"""Kafka records for use cases, and the results of batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

NO_HEADERS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic. timestamp: the record's time in Kafka, epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class Outgoing(NamedTuple):
    """A record to produce. The key decides the partition."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes] = NO_HEADERS


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The results of a batch. Every record is in exactly one of the fields.

    done: handled records. quarantined: each with its reason; they are handled too. failed: each
    with its reason; Lambda retries them. skipped: records without a value.
    """

    done: tuple[Record, ...] = ()
    quarantined: tuple[tuple[Record, str], ...] = ()
    failed: tuple[tuple[Record, str], ...] = ()
    skipped: tuple[Record, ...] = ()


@dataclass(slots=True)
class Tally:
    """Collects the results of records during a batch."""

    done: list[Record] = field(default_factory=list)
    quarantined: list[tuple[Record, str]] = field(default_factory=list)
    failed: list[tuple[Record, str]] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)

    def fail(self, records: Iterable[Record], reason: str) -> None:
        """Add failed records, which Lambda retries."""
        self.failed.extend((record, reason) for record in records)

    def result(self) -> BatchResult:
        """Return the results, immutable."""
        return BatchResult(
            tuple(self.done), tuple(self.quarantined), tuple(self.failed), tuple(self.skipped)
        )
