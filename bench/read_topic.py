"""Read a topic to its end, also from brokers that have just restarted."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

PATIENCE = 120.0
GROUPS = ("a", "b", "c", "d")
"""One group for each of the four partitions of the topic of consumer groups."""


def wait_for_coordinators(bootstrap: str) -> None:
    """Wait until Kafka accepts consumer groups.

    The first request for a group creates their topic; until it exists, Kafka refuses groups."""
    for group in GROUPS:
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
        _answer(partial(consumer.committed, [TopicPartition("none", 0)], timeout=10))
        consumer.close()


def read_bounds(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """Return the first offset and the one after the last. Retries while the leader is new."""
    low, high = _answer(partial(consumer.get_watermark_offsets, partition, timeout=10))
    return int(low), int(high)


def _answer(ask: Callable[[], Any]) -> Any:
    """Repeat a request until the broker answers, for PATIENCE seconds at most."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except KafkaException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def read_topic(bootstrap: str, topic: str) -> list[Message]:
    """Read all records of a topic, partition by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex})
    messages: list[Message] = []
    try:
        for number in consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions:
            low, high = read_bounds(consumer, TopicPartition(topic, number))
            consumer.assign([TopicPartition(topic, number, low)])
            until = time.monotonic() + PATIENCE
            while low < high:
                assert time.monotonic() < until, f"{topic} is shorter than its end says"
                message = consumer.poll(1)
                if message is not None and message.error() is None:
                    messages.append(message)
                    low = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return messages
