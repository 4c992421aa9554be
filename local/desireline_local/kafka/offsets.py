"""Where topics end, asked in one request."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

REFRESH_SECONDS = 5.0
TIMEOUT = 30.0


def latest(admin: AdminClient, places: Iterable[TopicPartition]) -> dict[TopicPartition, Any]:
    """A future for each of these partitions, whose `offset` is the one after its last record; it
    fails where whom the broker takes for the leader does not know of itself."""
    spec: Any = OffsetSpec
    asked: dict[TopicPartition, Any] = admin.list_offsets({one: spec.latest() for one in places})
    return asked


class Offsets:
    """The ends of some topics' partitions; partitions are asked for again now and then."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._topics = topics
        self._places: list[TopicPartition] = []
        self._asked_at = -REFRESH_SECONDS

    def ends(self) -> dict[str, dict[int, int]]:
        """topic -> partition -> the offset after its last record. A broker that has just started,
        and does not know yet what it leads, is asked until it does. Raises KafkaException."""
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                return self._ask()
            except KafkaException:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _ask(self) -> dict[str, dict[int, int]]:
        if time.monotonic() - self._asked_at > REFRESH_SECONDS:
            metadata = self._admin.list_topics(timeout=TIMEOUT)
            self._places = [
                TopicPartition(topic, partition)
                for topic in self._topics
                for partition in metadata.topics[topic].partitions
            ]
            self._asked_at = time.monotonic()
        asked = latest(self._admin, self._places)
        found: dict[str, dict[int, int]] = {topic: {} for topic in self._topics}
        for place, future in asked.items():
            found[place.topic][place.partition] = future.result(TIMEOUT).offset
        return found
