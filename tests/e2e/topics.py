"""What is on a topic."""

from __future__ import annotations

from confluent_kafka import Consumer, Message, TopicPartition


def everything(bootstrap: str, topic: str) -> list[Message]:
    """Every record that is there now, in the order of time."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "e2e", "enable.auto.commit": False}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        places = [TopicPartition(topic, number, 0) for number in partitions]
        left = sum(consumer.get_watermark_offsets(place, timeout=60)[1] for place in places)
        consumer.assign(places)
        found: list[Message] = []
        while len(found) < left:
            came = consumer.consume(min(5_000, left - len(found)), timeout=5)
            found += [message for message in came if message.error() is None]
    finally:
        consumer.close()
    return sorted(found, key=lambda message: message.timestamp())
