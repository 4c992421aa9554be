"""The real Apache Kafka that the local cloud starts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from desireline_local.kafka import distribution
from desireline_local.kafka.broker import Kafka, create_topics, free_port
from desireline_local.kafka.distribution import DistributionError
from desireline_local.kafka.offsets import Offsets


def flood(kafka: Kafka, topic: str, count: int, at: dict[int, Callable[[], None]]) -> None:
    """Produce the numbers below `count`, calling what is due; every one is acknowledged."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "message.timeout.ms": 300_000,
            "log_level": 2,
        }
    )
    for number in range(count):
        if number in at:
            at[number]()
        producer.produce(topic, str(number).encode(), str(number).encode(), on_delivery=delivered)
        if number % 100 == 99:
            producer.flush()
    assert producer.flush(300) == 0
    assert not failed


def read(kafka: Kafka, topic: str, count: int) -> Counter[int]:
    """What lies in the topic: how often each number."""
    settings = {
        "bootstrap.servers": kafka.bootstrap,
        "group.id": f"reader-{time.time_ns()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 2,
    }
    consumer = Consumer(settings)
    places = range(len(consumer.list_topics(topic, timeout=60).topics[topic].partitions))
    consumer.assign([TopicPartition(topic, place, 0) for place in places])
    seen: Counter[int] = Counter()
    end = time.monotonic() + 300
    while seen.total() < count and time.monotonic() < end:
        seen.update(int(one.value() or b"") for one in consumer.consume(1000, 1) if not one.error())
    seen.update(int(one.value() or b"") for one in consumer.consume(1000, 1) if not one.error())
    consumer.close()
    return seen


@pytest.mark.slow
def test_three_nodes_lose_nothing_when_one_is_killed_under_load(tmp_path: Path) -> None:
    """20,000 records with all in-sync replicas; one node is killed with -9 and comes back."""
    total, topic = 20_000, "flood"
    with Kafka(tmp_path / "kafka", nodes=3) as kafka:
        create_topics(kafka.bootstrap, {topic: 4}, replicas=3)
        victim = kafka.nodes[0]
        processes = [node.process for node in kafka.nodes]

        flood(
            kafka,
            topic,
            total,
            {5_000: lambda: kafka.kill(victim), 15_000: lambda: kafka.start_node(victim)},
        )

        kafka.wait(victim)
        assert read(kafka, topic, total) == Counter(range(total)), "each is there once"

    for process in (*processes, victim.process):
        assert process is not None
        assert process.poll() is not None
    assert not list((tmp_path / "kafka").glob("node-*"))


def test_topics_are_made_once_with_the_partitions_asked_for(kafka: Kafka) -> None:
    wanted = {f"made.{time.time_ns()}": 3, f"also.{time.time_ns()}": 1}

    create_topics(kafka.bootstrap, wanted)
    create_topics(kafka.bootstrap, wanted)

    offsets = Offsets(kafka.bootstrap, sorted(wanted))
    assert {topic: len(ends) for topic, ends in offsets.ends().items()} == wanted


def test_the_leader_of_a_topic_that_was_just_made_answers(kafka: Kafka) -> None:
    """Of fifty topics, some would else be told of before their leader knows of itself."""
    settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "any", "log_level": 2}
    for number in range(50):
        topic = f"led.{number}.{time.time_ns()}"
        create_topics(kafka.bootstrap, {topic: 8})
        consumer = Consumer(settings)
        asked = [TopicPartition(topic, partition, 0) for partition in range(8)]

        answered = consumer.offsets_for_times(asked, timeout=60)

        consumer.close()
        assert {one.offset for one in answered} == {OFFSET_END}


def test_ends_are_asked_for_until_a_leader_knows_of_itself(
    kafka: Kafka, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = topic(partitions=2)
    offsets, refused = Offsets(kafka.bootstrap, [name]), 0
    ask = offsets._admin.list_offsets

    def asked(places: Any) -> Any:
        nonlocal refused
        refused += 1
        if refused <= 2:
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
        return ask(places)

    monkeypatch.setattr(offsets._admin, "list_offsets", asked)

    assert offsets.ends() == {name: {0: 0, 1: 0}}


def test_topics_that_nobody_made_do_not_appear(kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 1500})

    producer.produce("never.made", b"x")
    producer.flush(5)

    assert "never.made" not in admin.list_topics(timeout=60).topics


def test_no_port_is_given_twice() -> None:
    """Of so many, some would be by chance."""
    ports = [free_port() for _ in range(500)]

    assert len(set(ports)) == len(ports)


def test_it_listens_on_loopback_alone(kafka: Kafka) -> None:
    [node] = kafka.nodes
    assert node.process is not None

    sockets = psutil.Process(node.process.pid).net_connections(kind="tcp")

    listening = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_it_takes_the_largest_message_that_the_contracts_allow(
    kafka: Kafka, topic: Callable[..., str]
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, topic())

    [described] = admin.describe_configs([resource]).values()

    assert int(described.result(60)["max.message.bytes"].value) >= 8_000_000


def test_jars_that_are_not_those_of_the_lock_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = distribution.jars()
    for jar in resolved.glob("*/*.jar"):
        copy = tmp_path / jar.parent.name / jar.name
        copy.parent.mkdir(exist_ok=True)
        copy.symlink_to(jar)
    distribution._verify(tmp_path)

    altered = next(tmp_path.glob("jars/*.jar"))
    altered.unlink()
    altered.write_bytes(b"something else")
    with pytest.raises(DistributionError, match=altered.name):
        distribution._verify(tmp_path)

    altered.unlink()
    with pytest.raises(DistributionError, match="not the locked jars"):
        distribution._verify(tmp_path)
