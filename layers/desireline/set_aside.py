"""SetAside: store a record that a function without a Kafka client cannot handle.

The row's table has a stream. publish_changes announces the row on events.quarantined, so that
index_quarantine remains the only writer of cases.
"""

from __future__ import annotations

from desireline.contracts import CASE_SECONDS, Component
from desireline.errors import ConflictError, RetryableError
from desireline.ports import Clock, Metrics, Store
from desireline.records import Record, Tally
from desireline.rows import Put, SetAsideRow

LIMIT = 300_000
"""Bytes of a record in its row: an item has at most 400 KB. The archive has longer records."""


class SetAside:
    """component: the part of the system that could not handle the records.

    clock: journey time. wall: wall time, for the row's expiry.
    """

    def __init__(
        self, *, component: Component, store: Store, clock: Clock, wall: Clock, metrics: Metrics
    ) -> None:
        self._component = component
        self._store = store
        self._clock = clock
        self._wall = wall
        self._metrics = metrics

    def __call__(self, record: Record, reason: str, detail: str, tally: Tally) -> None:
        """Store the record once. It counts as quarantined, or as failed if the write fails."""
        try:
            self._store.write(Put(self._row(record, reason, detail)))
        except ConflictError:
            pass  # The record came again; its row is stored already.
        except RetryableError as error:
            tally.fail([record], type(error).__name__)
            return
        tally.quarantined.append((record, reason))
        self._metrics.count("records_quarantined")

    def _row(self, record: Record, reason: str, detail: str) -> SetAsideRow:
        value = record.value or b""
        return SetAsideRow(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            component=self._component,
            source=record.topic,
            reason=reason,
            detail=detail,
            record=value.decode("utf-8", "replace") if len(value) <= LIMIT else "",
            key=(record.key or b"").decode("utf-8", "replace"),
            at=self._clock.now(),
            expires=self._wall.now() // 1000 + CASE_SECONDS,
        )
