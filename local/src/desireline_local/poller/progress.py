"""How far each partition of a topic is handled, when records are not finished in order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from confluent_kafka import Message


class Progress:
    """`done` holds, by partition, the first offset that is not handled or has not come yet."""

    def __init__(self) -> None:
        self.done: dict[int, int] = {}
        self._open: dict[int, set[int]] = {}
        self._ends: dict[int, int] = {}
        self._lock = threading.Lock()

    def begin(self, partition: int, offset: int) -> None:
        """A partition is read from here on; what was open of it is forgotten."""
        with self._lock:
            self.done[partition] = offset
            self._open[partition] = set()
            self._ends[partition] = offset

    def took(self, batch: Iterable[Message]) -> None:
        """These are being handled."""
        with self._lock:
            for message in batch:
                partition, offset = message.partition(), message.offset()
                self._open.setdefault(partition, set()).add(offset)
                self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def finish(self, batch: Sequence[Message]) -> dict[int, int]:
        """These are handled; the partitions that got further by it, and how far."""
        moved: dict[int, int] = {}
        with self._lock:
            for message in batch:
                self._open[message.partition()].discard(message.offset())
            for partition in {message.partition() for message in batch}:
                end = min(self._open[partition], default=self._ends[partition])
                if end != self.done.get(partition):
                    self.done[partition] = moved[partition] = end
        return moved
