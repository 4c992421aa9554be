"""One running local cloud for all that is tested at its door."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from desireline.contracts import Topic
from desireline_local.cloud import Addresses, LocalCloud

SITE = "http://localhost:3000"
SERVER_KEY, SITE_KEY = "backend-key-0001", "site-key-000001"
KEYS = {
    "keys": [
        {"name": "backend", "key": SERVER_KEY},
        {"name": "site", "key": SITE_KEY, "kind": "browser", "origins": [SITE]},
    ]
}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A cloud with write keys and without a warehouse."""
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "cloud", warehouse=False) as running:
        running.at.client("secretsmanager").put_secret_value(
            SecretId=f"{running.at.deployment}/direct", SecretString=json.dumps(KEYS)
        )
        yield running.at


def everything(bootstrap: str, topic: Topic) -> list[bytes]:
    """All values on a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    found: list[bytes] = []
    try:
        for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            place = TopicPartition(topic, number)
            low, high = consumer.get_watermark_offsets(place, timeout=10)
            place.offset = low
            consumer.assign([place])
            left = high - low
            while left > 0:
                messages = consumer.consume(left, timeout=10)
                assert messages, "the topic is shorter than its end says"
                found += [message.value() or b"" for message in messages]
                left -= len(messages)
    finally:
        consumer.close()
    return found
