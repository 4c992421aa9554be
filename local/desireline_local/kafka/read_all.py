"""What lies on a topic, read to its end, also of brokers that have just come back."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

PATIENCE = 120.0
GROUPS = ("a", "b", "c", "d")
"""One for each of the four partitions of the groups' own topic."""


def wait_for_coordinators(bootstrap: str) -> None:
    """The first group that is asked for makes Kafka make a topic; until then groups are refused."""
    for group in GROUPS:
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
        _answer(partial(consumer.committed, [TopicPartition("none", 0)], timeout=10))
        consumer.close()


def bounds(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """The first offset and the one after the last. Who leads may not know of it yet."""
    low, high = _answer(partial(consumer.get_watermark_offsets, place, timeout=10))
    return int(low), int(high)


def _answer(ask: Callable[[], Any]) -> Any:
    """What the broker says, once it does."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def everything(bootstrap: str, topic: str) -> list[Message]:
    """All records, partition by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex})
    found: list[Message] = []
    try:
        for number in consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions:
            low, high = bounds(consumer, TopicPartition(topic, number))
            consumer.assign([TopicPartition(topic, number, low)])
            until = time.monotonic() + PATIENCE
            while low < high:
                assert time.monotonic() < until, f"{topic} is shorter than its end says"
                message = consumer.poll(1)
                if message is not None and message.error() is None:
                    found.append(message)
                    low = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return found
