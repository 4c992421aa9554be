"""The RawBodies port on the topic webhooks.raw.

The consumer assigns partitions to itself and commits no offsets. So it joins no group, and changes
no group's offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from pydantic import ValidationError

from desireline.adapters.kafka import Auth, security
from desireline.contracts import READER_GROUP, Topic
from desireline.errors import UnavailableError
from desireline.events import RawWebhook
from desireline.ports import Part, Span

ANSWER_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""A read fails if the brokers send nothing for so long."""

EARLIER_MS, LATER_MS = 1_000, 60_000
"""The range of a record's time around its body's stamp. Both come from the same clock. The record's
time may be later, because the record waits for its flush."""

SETTINGS: dict[str, Any] = {
    "group.id": READER_GROUP,
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 50,
    "queued.max.messages.kbytes": 32_768,
    "socket.timeout.ms": 10_000,
    "log_level": 3,
}


class KafkaRawBodies:
    """Reads raw bodies on the topic. auth: 'iam' on MSK, 'plaintext' locally."""

    def __init__(
        self, bootstrap: str, auth: Auth, *, region: str = "", topic: str = Topic.WEBHOOKS_RAW
    ) -> None:
        self._settings = {"bootstrap.servers": bootstrap, **SETTINGS, **security(auth, region)}
        self._topic = topic

    def find(self, arrivals: Mapping[str, int]) -> dict[str, RawWebhook]:
        bodies: dict[str, RawWebhook] = {}
        with self._consumer() as consumer:
            for since, until in _windows(arrivals):
                for raw, _ in self._read(consumer, self._span(consumer, since, until)):
                    if raw is not None and raw.id in arrivals:
                        bodies.setdefault(raw.id, raw)
                    if len(bodies) == len(arrivals):
                        return bodies
        return bodies

    def span(self, since: int, until: int) -> Span:
        with self._consumer() as consumer:
            return self._span(consumer, since, until)

    def read(self, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        with self._consumer() as consumer:
            yield from self._read(consumer, span)

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(self._settings)
        try:
            yield consumer
        except KafkaException as error:
            raise UnavailableError(error.args[0].str()) from error
        finally:
            consumer.close()

    def _span(self, consumer: Consumer, since: int, until: int) -> Span:
        """Return the span of these times (epoch ms), without records that arrive later."""
        topic = consumer.list_topics(self._topic, timeout=ANSWER_SECONDS).topics[self._topic]
        if topic.error is not None:
            raise UnavailableError(topic.error.str())
        starts = self._offsets(consumer, topic.partitions, since - EARLIER_MS)
        ends = self._offsets(consumer, topic.partitions, until + LATER_MS)
        parts = []
        for partition in sorted(topic.partitions):
            low, high = consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=ANSWER_SECONDS
            )
            start = max(low, starts.get(partition, high))
            end = min(high, ends.get(partition, high))
            if start < end:
                parts.append(Part(str(partition), start, end))
        return Span(since, until, tuple(parts))

    def _offsets(self, consumer: Consumer, partitions: Any, at: int) -> dict[int, int]:
        """Return the first offset at or after a time (epoch ms), by partition.

        Partitions without such an offset are omitted."""
        requested = [TopicPartition(self._topic, number, max(0, at)) for number in partitions]
        answer = consumer.offsets_for_times(requested, timeout=ANSWER_SECONDS)
        return {
            item.partition: item.offset for item in answer if item.offset not in (OFFSET_END, -1)
        }

    def _read(self, consumer: Consumer, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        left = {int(part.name): part for part in span.parts}
        consumer.assign(
            [TopicPartition(self._topic, number, part.start) for number, part in left.items()]
        )
        while left:
            message = consumer.poll(SILENCE_SECONDS)
            if message is None:
                raise UnavailableError(
                    f"the brokers sent nothing of {self._topic} in {SILENCE_SECONDS} s"
                )
            number, following, raw = _step(message)
            part = left.get(number)
            if part is None or part.end is None:
                continue
            if following >= part.end:
                del left[number]
                consumer.incremental_unassign([TopicPartition(self._topic, number)])
            else:
                left[number] = Part(part.name, following, part.end)
            within = raw and following <= part.end and span.since <= (raw.stamped or 0) < span.until
            yield raw if within else None, Span(span.since, span.until, tuple(left.values()))


def _step(message: Message) -> tuple[int, int, RawWebhook | None]:
    """Return a message's partition, the offset after it, and its raw body.

    A message is a record, or marks the end of a partition, which has no body. Raises
    UnavailableError for an error of Kafka."""
    error, number, offset = message.error(), message.partition(), message.offset()
    if number is None or offset is None or (error and error.code() != KafkaError._PARTITION_EOF):  # noqa: SLF001 — the library's name for it
        raise UnavailableError(error.str() if error else "Kafka sent a message without an offset")
    return (number, offset, None) if error else (number, offset + 1, _raw(message))


def _raw(message: Message) -> RawWebhook | None:
    """Return a record's raw body, or None if the record is not a raw webhook."""
    try:
        raw = RawWebhook.decode(message.value() or b"")
    except ValidationError:
        return None
    _, at = message.timestamp()
    return raw if raw.stamped is not None else raw.model_copy(update={"stamped": at})


def _windows(arrivals: Mapping[str, int]) -> list[tuple[int, int]]:
    """Return the time ranges (epoch ms) to read, and join those that overlap."""
    windows: list[tuple[int, int]] = []
    for at in sorted(arrivals.values()):
        since, until = at - EARLIER_MS, at + LATER_MS
        if windows and since <= windows[-1][1]:
            windows[-1] = (windows[-1][0], until)
        else:
            windows.append((since, until))
    return windows
