"""How far each partition of a topic is handled, when records are not finished in order."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from confluent_kafka import Message

from desireline_local.poller.batch import offset_of, partition_of


class Progress:
    """`done` holds, by partition, the first offset that is not handled or has not come yet."""

    def __init__(self) -> None:
        self.done: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._open: dict[int, set[int]] = {}
        self._ends: dict[int, int] = {}
        self._lock = threading.Lock()

    def begin(self, partition: int, offset: int) -> None:
        """A partition is read from here on; what was open of it is forgotten."""
        with self._lock:
            self.done[partition] = self._told[partition] = offset
            self._open[partition] = set()
            self._ends[partition] = offset

    def took(self, batch: Iterable[Message]) -> None:
        """These are being handled."""
        with self._lock:
            for message in batch:
                partition, offset = partition_of(message), offset_of(message)
                self._open.setdefault(partition, set()).add(offset)
                self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def finish(self, batch: Sequence[Message]) -> None:
        """These are handled."""
        with self._lock:
            for message in batch:
                self._open[partition_of(message)].discard(offset_of(message))
            for partition in {partition_of(message) for message in batch}:
                self.done[partition] = min(self._open[partition], default=self._ends[partition])

    def uncommitted(self) -> dict[int, int]:
        """The partitions that got further since this was asked, and how far."""
        with self._lock:
            moved = {one: end for one, end in self.done.items() if end != self._told.get(one)}
            self._told.update(moved)
        return moved
