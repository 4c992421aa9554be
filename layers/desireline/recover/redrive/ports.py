"""What redriving needs from the world."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from desireline.events import CanonicalEvent
from desireline.records import Outgoing


class DeadLetterBucket(Protocol):
    """The bucket of on-failure destinations. Nothing in it is ever deleted or changed: its
    lifecycle forgets. Raises ThrottledError, UnavailableError."""

    def objects(self, *, since: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Name and body of what mappings wrote, at or after `since` (epoch ms) if given."""
        ...

    def notes(self, prefix: str) -> Iterator[bytes]:
        """What `note` stored under names that begin so."""
        ...

    def note(self, name: str, body: bytes) -> None:
        """Store it under that name."""
        ...


class Topics(Protocol):
    """Kafka, for whoever wants to know where a record went and who has read it."""

    def produce(self, records: Sequence[Outgoing], timeout: float) -> Sequence[tuple[int, int]]:
        """Produce these, wait until all in-sync replicas have them, and tell partition and offset
        of each. Raises UnavailableError: any of them may be there or not."""
        ...

    def committed(self, group: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """By partition, the first offset that the group has not finished. Raises
        UnavailableError."""
        ...


class Functions(Protocol):
    """Lambda."""

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """What the function answered. Raises TerminalError when the function failed,
        RetryableError when it could not be invoked or nothing is known of it."""
        ...


class Counted(Protocol):
    """What resolve has counted."""

    def __call__(self, events: Sequence[CanonicalEvent]) -> frozenset[str]:
        """The ids of those that have been counted. Raises RetryableError."""
        ...


class Suppressed(Protocol):
    """The list of people of whom nothing may be processed any more."""

    def __call__(self, event: CanonicalEvent) -> bool: ...
