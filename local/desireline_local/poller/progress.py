"""Track the handled offset of each partition, although records finish out of order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from confluent_kafka import Message

from desireline_local.poller.batch import offset_of, partition_of


class PartitionProgress:
    """The progress of a topic. done: by partition, the first offset that is not handled."""

    def __init__(self) -> None:
        self.done: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._open: dict[int, set[int]] = {}
        self._ends: dict[int, int] = {}
        self._lock = threading.Lock()

    def begin(self, partition: int, offset: int) -> None:
        """Start a partition at an offset, and forget its open records."""
        with self._lock:
            self.done[partition] = self._committed[partition] = offset
            self._open[partition] = set()
            self._ends[partition] = offset

    def start(self, batch: Iterable[Message]) -> None:
        """Mark records as open."""
        with self._lock:
            for message in batch:
                partition, offset = partition_of(message), offset_of(message)
                self._open.setdefault(partition, set()).add(offset)
                self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def finish(self, batch: Sequence[Message]) -> None:
        """Mark records as handled."""
        with self._lock:
            for message in batch:
                self._open[partition_of(message)].discard(offset_of(message))
            for partition in {partition_of(message) for message in batch}:
                self.done[partition] = min(self._open[partition], default=self._ends[partition])

    def uncommitted(self) -> dict[int, int]:
        """Return the offsets of partitions that advanced since the last call."""
        with self._lock:
            moved = {it: end for it, end in self.done.items() if end != self._committed.get(it)}
            self._committed.update(moved)
        return moved
