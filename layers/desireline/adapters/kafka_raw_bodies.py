"""The RawBodies port on the topic webhooks.raw.

Partitions are assigned, not subscribed to, and nothing is committed: a reader moves no group's
offsets, and no group's members move it.
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
"""How long the brokers may say nothing before a reading ends with an error."""

EARLIER_MS, LATER_MS = 1_000, 60_000
"""Around the stamps that are looked for: a record's time is that of the same clock, somewhat later,
for it may wait for its flush."""

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
    """auth: 'iam' on MSK, 'plaintext' locally."""

    def __init__(
        self, bootstrap: str, auth: Auth, *, region: str = "", topic: str = Topic.WEBHOOKS_RAW
    ) -> None:
        self._settings = {"bootstrap.servers": bootstrap, **SETTINGS, **security(auth, region)}
        self._topic = topic

    def find(self, wanted: Mapping[str, int]) -> dict[str, RawWebhook]:
        found: dict[str, RawWebhook] = {}
        with self._consumer() as consumer:
            for since, until in _windows(wanted):
                for raw, _ in self._read(consumer, self._span(consumer, since, until)):
                    if raw is not None and raw.id in wanted:
                        found.setdefault(raw.id, raw)
                    if len(found) == len(wanted):
                        return found
        return found

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
        """By the brokers' index of times; the end is that of now, or earlier."""
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
        """The first offset at or after that time, by partition; none where there is no such."""
        asked = [TopicPartition(self._topic, number, max(0, at)) for number in partitions]
        answered = consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
        return {one.partition: one.offset for one in answered if one.offset not in (OFFSET_END, -1)}

    def _read(self, consumer: Consumer, span: Span) -> Iterator[tuple[RawWebhook | None, Span]]:
        left = {int(part.name): part for part in span.parts}
        consumer.assign(
            [TopicPartition(self._topic, number, part.start) for number, part in left.items()]
        )
        while left:
            message = consumer.poll(SILENCE_SECONDS)
            if message is None:
                raise UnavailableError(f"no word of {self._topic} in {SILENCE_SECONDS} s")
            number, past, raw = _step(message)
            part = left.get(number)
            if part is None or part.end is None:
                continue
            if past >= part.end:
                del left[number]
                consumer.incremental_unassign([TopicPartition(self._topic, number)])
            else:
                left[number] = Part(part.name, past, part.end)
            within = raw and past <= part.end and span.since <= (raw.stamped or 0) < span.until
            yield raw if within else None, Span(span.since, span.until, tuple(left.values()))


def _step(message: Message) -> tuple[int, int, RawWebhook | None]:
    """Partition, offset after what the message says, and the body: a message is a record, or says
    that there is no more. Raises UnavailableError."""
    error, number, offset = message.error(), message.partition(), message.offset()
    if number is None or offset is None or (error and error.code() != KafkaError._PARTITION_EOF):  # noqa: SLF001 — the library's name for it
        raise UnavailableError(error.str() if error else "a message without a place")
    return (number, offset, None) if error else (number, offset + 1, _raw(message))


def _raw(message: Message) -> RawWebhook | None:
    """The body; what is no raw webhook is passed over."""
    try:
        raw = RawWebhook.decode(message.value() or b"")
    except ValidationError:
        return None
    _, at = message.timestamp()
    return raw if raw.stamped is not None else raw.model_copy(update={"stamped": at})


def _windows(wanted: Mapping[str, int]) -> list[tuple[int, int]]:
    """The times to look at, joined where they overlap."""
    found: list[tuple[int, int]] = []
    for at in sorted(wanted.values()):
        since, until = at - EARLIER_MS, at + LATER_MS
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], until)
        else:
            found.append((since, until))
    return found
