"""Units of DynamoDB's capacity that a store in memory would be charged for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from desireline.adapters.dynamodb import item_of
from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from desireline.rows import Check, Put, Row
from infra.settings import context, deployment_settings

KB = 1024


class Units(MemoryStore):
    """Counts write units: one for each started KB of the larger of old and new item, two where it
    is written or checked in a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.units = 0

    def write(self, *writes: Put | Check) -> None:
        """Write, and count."""
        old = [self.rows.get((one.row.table, one.row.pk, one.row.sk)) for one in writes]
        super().write(*writes)
        times = 2 if len(writes) > 1 else 1
        for write, before in zip(writes, old, strict=True):
            rows = [before] if isinstance(write, Check) else [before, write.row]
            largest = max((size(row) for row in rows if row is not None), default=0)
            self.units += times * max(1, -(-largest // KB))


def size(row: Row) -> int:
    """Bytes of the row's item, as DynamoDB counts them."""
    return sum(len(name) + _size(value) for name, value in item_of(row).items())


def _size(attribute: dict[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(str(value).encode())
        case "B":
            return len(bytes(value))
        case "N":
            digits = str(value).lstrip("-").strip("0")
            return (len(digits) + 1) // 2 + 1 + str(value).startswith("-")
        case _:
            return 1


def production_batches(events: Sequence[CanonicalEvent]) -> list[list[CanonicalEvent]]:
    """The events of one consumer, by time of arrival, in batches as production's window makes them:
    those that arrive within so many seconds of the first. Without a window each comes alone."""
    window = deployment_settings(context()["stages"], "prod").event_sources.window_seconds * 1000
    batches: list[list[CanonicalEvent]] = []
    for event in events:
        if batches and event.received_at < batches[-1][0].received_at + window:
            batches[-1].append(event)
        else:
            batches.append([event])
    return batches
