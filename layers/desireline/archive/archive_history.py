"""ArchiveHistory: one file a topic and batch. It fails as a whole; a retry writes the same keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from desireline.archive import files
from desireline.ports import Blobs, Metrics
from desireline.records import Record


class ArchiveHistory:
    """Writes records to object storage."""

    def __init__(self, *, blobs: Blobs, metrics: Metrics) -> None:
        self._blobs = blobs
        self._metrics = metrics

    def __call__(self, records: Sequence[Record]) -> list[str]:
        """The keys of the files that hold the batch. Raises RetryableError."""
        by_topic: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_topic[record.topic].append(record)
        keys = []
        for group in by_topic.values():
            ordered = sorted(group, key=lambda record: (record.partition, record.offset))
            key = files.name(ordered)
            if not self._blobs.put_if_absent(key, files.lines(ordered)):
                self._metrics.count("archive_files_repeated")
            keys.append(key)
        self._metrics.count("records_archived", len(records))
        return keys
