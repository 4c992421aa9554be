"""Produce records and return their offsets, and read the committed offsets of groups."""

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
"""Errors while a group's coordinator moves to another broker, or while Kafka creates the first."""


class KafkaPositions:
    """The Topics port. auth: 'iam' on MSK, 'plaintext' locally. It makes clients on first use."""

    def __init__(self, bootstrap: str, auth: Auth, *, region: str = "") -> None:
        self._settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "log_level": 3,
            **security(auth, region),
        }
        self._producer: Producer | None = None
        self._readers: dict[str, Consumer] = {}

    def produce(self, records: Sequence[Outgoing], timeout: float) -> Sequence[tuple[int, int]]:
        """Produce at most some thousand records, because the client's queue is limited."""
        if self._producer is None:
            reports = {"delivery.report.only.error": False}
            self._producer = Producer({**SETTINGS, **self._settings, **reports})
        positions: dict[int, tuple[int, int]] = {}
        errors: list[str] = []
        for number, (topic, key, value, headers) in enumerate(records):
            try:
                self._producer.produce(
                    topic,
                    value,
                    key.encode(),
                    headers=[*headers.items()],
                    callback=_noting(number, positions, errors),
                )
            except (KafkaException, BufferError) as error:
                self._producer = None
                raise UnavailableError(str(error)) from error
        self._producer.flush(timeout)
        if errors or len(positions) < len(records):
            self._producer = None
            failed = len(records) - len(positions)
            reason = errors[0] if errors else f"no acknowledgement in {timeout} s"
            raise UnavailableError(f"Kafka did not store {failed} records: {reason}")
        return [positions[number] for number in range(len(records))]

    def committed(self, group: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Read the group's offsets without joining it. Partitions without an offset are omitted."""
        reader = self._readers.get(group)
        if reader is None:
            reader = self._readers[group] = Consumer({**self._settings, "group.id": group})
        requested = [TopicPartition(topic, number) for number in sorted(partitions)]
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                answer = reader.committed(requested, timeout=TIMEOUT)
            except KafkaException as error:
                if error.args[0].code() not in COORDINATOR_MOVES or time.monotonic() > end:
                    raise UnavailableError(str(error)) from error
                time.sleep(PAUSE)
            else:
                return {item.partition: item.offset for item in answer if item.offset >= 0}

    def cluster(self) -> str:
        """Return the id of the cluster, in which the offsets are valid. Raises UnavailableError."""
        try:
            return str(AdminClient(self._settings).list_topics(timeout=TIMEOUT).cluster_id)
        except KafkaException as error:
            raise UnavailableError(str(error)) from error

    def close(self) -> None:
        """Close the consumers."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


def _noting(
    number: int, positions: dict[int, tuple[int, int]], errors: list[str]
) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error.str())
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        positions[number] = (partition, offset)

    return delivered
