"""Read the end offsets of topics in one request."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

REFRESH_SECONDS = 5.0
TIMEOUT = 30.0


def latest_offsets(
    admin: AdminClient, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, Any]:
    """Request the end of each partition. Returns futures with `offset`, the one after the last.

    A future fails while the partition's new leader does not know its role yet."""
    spec: Any = OffsetSpec
    futures: dict[TopicPartition, Any] = admin.list_offsets(
        {partition: spec.latest() for partition in partitions}
    )
    return futures


class Offsets:
    """Reads the ends of topics. It reads the list of partitions again after REFRESH_SECONDS."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._topics = topics
        self._partitions: list[TopicPartition] = []
        self._listed_at = -REFRESH_SECONDS

    def ends(self) -> dict[str, dict[int, int]]:
        """Return topic -> partition -> the offset after its last record.

        It retries while a new broker does not know its partitions yet. Raises KafkaException."""
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                return self._request()
            except KafkaException:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _request(self) -> dict[str, dict[int, int]]:
        if time.monotonic() - self._listed_at > REFRESH_SECONDS:
            metadata = self._admin.list_topics(timeout=TIMEOUT)
            self._partitions = [
                TopicPartition(topic, partition)
                for topic in self._topics
                for partition in metadata.topics[topic].partitions
            ]
            self._listed_at = time.monotonic()
        futures = latest_offsets(self._admin, self._partitions)
        ends: dict[str, dict[int, int]] = {topic: {} for topic in self._topics}
        for partition, future in futures.items():
            ends[partition.topic][partition.partition] = future.result(TIMEOUT).offset
        return ends
