"""The ports of a redrive."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from desireline.events import CanonicalEvent
from desireline.records import Outgoing


class DeadLetterBucket(Protocol):
    """The bucket of on-failure destinations. A redrive only adds objects to it. A lifecycle rule
    deletes old ones. All methods raise ThrottledError, UnavailableError."""

    def objects(self, *, since: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield key and body of the mappings' objects. since: the earliest time of writing, epoch
        ms; None yields all."""
        ...

    def notes(self, prefix: str) -> Iterator[bytes]:
        """Yield the bodies that `note` stored under names with this prefix."""
        ...

    def note(self, name: str, body: bytes) -> None:
        """Store a body under a name."""
        ...


class Topics(Protocol):
    """Kafka, with the offsets of produced records and of consumer groups."""

    def produce(self, records: Sequence[Outgoing], timeout: float) -> Sequence[tuple[int, int]]:
        """Produce records and wait until all in-sync replicas have them. timeout: seconds.

        Returns partition and offset of each record. Raises UnavailableError, after which the topic
        may contain any of the records."""
        ...

    def committed(self, group: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return the first offset of each partition that the group has not finished.

        Raises UnavailableError."""
        ...


class Functions(Protocol):
    """Lambda."""

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function and return its answer. Raises TerminalError if the function fails.

        Raises RetryableError if the invocation is impossible, or its result is unknown."""
        ...


class CountedEvents(Protocol):
    """Looks up the events that resolve has counted."""

    def __call__(self, events: Sequence[CanonicalEvent]) -> frozenset[str]:
        """Return the ids of the counted ones of these events. Raises RetryableError."""
        ...


class Suppressed(Protocol):
    """Looks up suppressed persons."""

    def __call__(self, event: CanonicalEvent) -> bool:
        """Tell whether an alias of the event is suppressed."""
        ...
