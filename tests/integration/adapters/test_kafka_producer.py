"""KafkaProducer against a real broker: durable when flushed, honest and prompt when not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.read_topic import read_topic
from desireline.adapters.kafka import KafkaProducer
from desireline.errors import UnavailableError
from desireline.records import Outgoing
from desireline_local.kafka.broker import Kafka, free_port
from tests.worlds.frozen_broker import frozen

Topics = Callable[..., str]


def test_what_was_flushed_is_there_with_key_headers_and_order(kafka: Kafka, topic: Topics) -> None:
    name = topic(partitions=3)
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)
    for number in range(300):
        value, headers = b"%d" % number, {"trace-id": b"\x00\xff"}
        producer.produce(Outgoing(name, f"key-{number % 7}", value, headers))

    producer.flush(60)

    messages = read_topic(kafka.bootstrap, name)
    assert sorted(int(message.value()) for message in messages) == list(range(300))
    assert messages[0].headers() == [("trace-id", b"\x00\xff")]
    for key in range(7):
        own = [one for one in messages if one.key() == b"key-%d" % key]
        assert len({one.partition() for one in own}) == 1
        assert [int(one.value()) for one in own] == list(range(key, 300, 7))


def test_the_key_decides_the_partition_as_javas_client_does(kafka: Kafka, topic: Topics) -> None:
    """Others that produce to the topic must agree with us. murmur2("21") is from Kafka's tests."""
    name = topic(partitions=11)
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)
    producer.produce(Outgoing(name, "21", b""))
    producer.flush(60)
    murmur2 = -973932308 & 0x7FFFFFFF
    assert [message.partition() for message in read_topic(kafka.bootstrap, name)] == [murmur2 % 11]


def test_an_absent_broker_is_told_in_time() -> None:
    producer = KafkaProducer(f"127.0.0.1:{free_port()}", "plaintext", probe="any")
    producer.produce(Outgoing("any", "k", b"v"))

    with pytest.raises(UnavailableError, match="did not acknowledge 1 records in 0.5 s"):
        producer.flush(0.5)


def test_a_topic_that_does_not_exist_is_told_in_time(kafka: Kafka, topic: Topics) -> None:
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=topic())
    producer.produce(Outgoing(f"missing.{uuid4().hex}", "k", b"v"))
    with pytest.raises(UnavailableError) as told:
        producer.flush(1.0)
    assert "timed out" not in str(told.value), "that is only known after all of its time"


def test_a_refused_record_fails_the_flush_and_not_the_next(kafka: Kafka) -> None:
    """Given a topic of small messages, when one is too large for it."""
    name = f"test.{uuid4().hex[:10]}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    made = admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "2000"})])
    made[name].result(60)
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)

    producer.produce(Outgoing(name, "k", secrets.token_bytes(10_000)))
    with pytest.raises(UnavailableError, match="refused 1 records"):
        producer.flush(60)

    producer.produce(Outgoing(name, "k", b"small"))
    producer.flush(60)
    assert [message.value() for message in read_topic(kafka.bootstrap, name)] == [b"small"]


def test_a_record_that_no_broker_takes_is_refused_at_once(kafka: Kafka, topic: Topics) -> None:
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=topic())
    with pytest.raises(UnavailableError):
        producer.produce(Outgoing(topic(), "k", b"x" * 9_000_000))


def test_after_a_time_out_a_new_client_delivers(kafka: Kafka, topic: Topics) -> None:
    """Given a broker that stands still for a while, when the caller tries again, it works, and the
    first attempt's record is there at most once."""
    name = topic()
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)
    producer.warm()
    with frozen(kafka.nodes[0]):
        producer.produce(Outgoing(name, "k", b"first"))
        with pytest.raises(UnavailableError, match="did not acknowledge"):
            producer.flush(0.5)

    producer.produce(Outgoing(name, "k", b"second"))
    producer.flush(60)

    values = [message.value() for message in read_topic(kafka.bootstrap, name)]
    assert values.count(b"second") == 1
    assert values.count(b"first") <= 1


def test_failures_of_one_flush_are_not_told_by_the_next(kafka: Kafka, topic: Topics) -> None:
    name = topic()
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)
    with frozen(kafka.nodes[0]):
        producer.produce(Outgoing(name, "k", b"lost"))
        with pytest.raises(UnavailableError):
            producer.flush(0.2)
    producer.flush(60)


def test_a_thaw_after_a_long_pause_is_noticed(
    kafka: Kafka, topic: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an environment frozen for a minute, when it is used, then it looks first and sends."""
    name = topic()
    producer = KafkaProducer(kafka.bootstrap, "plaintext", probe=name)
    producer.produce(Outgoing(name, "k", b"before"))
    producer.flush(60)
    monkeypatch.setattr("desireline.adapters.kafka.IDLE_SECONDS", 0.0)

    producer.produce(Outgoing(name, "k", b"after"))
    producer.flush(60)

    assert [message.value() for message in read_topic(kafka.bootstrap, name)] == [
        b"before",
        b"after",
    ]
