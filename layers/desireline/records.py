"""Kafka records as the use cases see them, and the result of a batch of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

NO_HEADERS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a topic. `timestamp` is the broker's, in epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class Outgoing(NamedTuple):
    """One record to produce. The key decides the partition."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, bytes] = NO_HEADERS


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Every record ends in exactly one of these.

    done: acted upon, or nothing to do. quarantined: with the reason, handled for good.
    failed: with the reason, to be tried again. skipped: records without a value.
    """

    done: tuple[Record, ...] = ()
    quarantined: tuple[tuple[Record, str], ...] = ()
    failed: tuple[tuple[Record, str], ...] = ()
    skipped: tuple[Record, ...] = ()


@dataclass(slots=True)
class Tally:
    """Collects what became of records while a batch is worked through."""

    done: list[Record] = field(default_factory=list)
    quarantined: list[tuple[Record, str]] = field(default_factory=list)
    failed: list[tuple[Record, str]] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)

    def fail(self, records: Iterable[Record], reason: str) -> None:
        """These are to be tried again."""
        self.failed.extend((record, reason) for record in records)

    def result(self) -> BatchResult:
        """The outcome, immutable."""
        return BatchResult(
            tuple(self.done), tuple(self.quarantined), tuple(self.failed), tuple(self.skipped)
        )
