"""Kafka for whoever wants to know where a record went, and which records a group has finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from desireline.adapters.kafka import SETTINGS, Auth, security
from desireline.errors import UnavailableError
from desireline.records import Outgoing

TIMEOUT = 10.0
PAUSE = 0.1
COORDINATOR_MOVES = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Of a group: to another broker, or to the first one when no group has ever been there."""


class KafkaPlaces:
    """auth: 'iam' on MSK, 'plaintext' locally. Clients are made when they are first needed."""

    def __init__(self, bootstrap: str, auth: Auth, *, region: str = "") -> None:
        self._settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": 3,
            **security(auth, region),
        }
        self._producer: Producer | None = None
        self._readers: dict[str, Consumer] = {}

    def produce(self, records: Sequence[Outgoing], timeout: float) -> Sequence[tuple[int, int]]:
        """At most some thousand at once: what the client's queue holds."""
        if self._producer is None:
            told = {"delivery.report.only.error": False}
            self._producer = Producer({**SETTINGS, **self._settings, **told})
        places: dict[int, tuple[int, int]] = {}
        errors: list[str] = []
        for number, (topic, key, value, headers) in enumerate(records):
            try:
                self._producer.produce(
                    topic,
                    value,
                    key.encode(),
                    headers=[*headers.items()],
                    callback=_noting(number, places, errors),
                )
            except (KafkaException, BufferError) as error:
                self._producer = None
                raise UnavailableError(str(error)) from error
        self._producer.flush(timeout)
        if errors or len(places) < len(records):
            self._producer = None
            why = errors[0] if errors else f"not acknowledged in {timeout} s"
            raise UnavailableError(f"{len(records) - len(places)} records: {why}")
        return [places[number] for number in range(len(records))]

    def committed(self, group: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Asked without joining the group."""
        reader = self._readers.get(group)
        if reader is None:
            reader = self._readers[group] = Consumer({**self._settings, "group.id": group})
        places = [TopicPartition(topic, number) for number in sorted(partitions)]
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                found = reader.committed(places, timeout=TIMEOUT)
            except KafkaException as error:
                if error.args[0].code() not in COORDINATOR_MOVES or time.monotonic() > end:
                    raise UnavailableError(str(error)) from error
                time.sleep(PAUSE)
            else:
                return {place.partition: place.offset for place in found if place.offset >= 0}

    def cluster(self) -> str:
        """The cluster's own id: another one has none of its records. Raises UnavailableError."""
        try:
            return str(AdminClient(self._settings).list_topics(timeout=TIMEOUT).cluster_id)
        except KafkaException as error:
            raise UnavailableError(str(error)) from error

    def close(self) -> None:
        """Close what is open."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


def _noting(
    number: int, places: dict[int, tuple[int, int]], errors: list[str]
) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error.str())
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        places[number] = (partition, offset)

    return delivered
