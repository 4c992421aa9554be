"""Redrive on the real broker and the local S3, killed between produce and mark."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from bench.read_topic import read_bounds
from desireline.adapters.clock import WallClock
from desireline.adapters.dead_letters import S3DeadLetters
from desireline.adapters.invoke import LambdaFunctions
from desireline.adapters.kafka_positions import KafkaPositions
from desireline.adapters.memory import MemoryStore
from desireline.contracts import Function, Header, Topic, consumer_group
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent
from desireline.records import Outgoing
from desireline.recover.redrive.follow_up import FollowUp, RecordOutcome
from desireline.recover.redrive.redrive import Order, Redrive
from desireline.recover.redrive.selection import Fate, Selection
from desireline.resolve.counted_events import StoredCounts
from desireline.resolve.fold import Fold
from desireline_local.aws.cloud import LocalAws
from desireline_local.kafka.broker import Kafka, create_topics, free_port
from tests.integration.conftest import Clients
from tests.worlds.redriving import event, kafka_object, record

PARTITIONS = 3
GROUP = consumer_group(Function.RESOLVE_IDENTITY, Topic.EVENTS_RECEIVED)


class Resolve:
    """Reads events.received from where it ends now, folds, and commits as the mapping does."""

    def __init__(self, kafka: Kafka) -> None:
        self.store = MemoryStore()
        self.redriven: list[str] = []
        self._consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": GROUP})
        places = []
        for number in range(PARTITIONS):
            place = TopicPartition(Topic.EVENTS_RECEIVED, number)
            _, place.offset = read_bounds(self._consumer, place)
            places.append(place)
        self._consumer.assign(places)
        self._consumer.commit(offsets=places, asynchronous=False)

    def close(self) -> None:
        self._consumer.close()

    def read(self, _: float = 0) -> None:
        """Everything that comes within a moment."""
        for message in self._consumer.consume(100, timeout=1):
            one = CanonicalEvent.decode(message.value() or b"")
            Fold(self.store)(one.fragment, one.account_key, [one])
            self.redriven += [
                value.decode()
                for name, value in message.headers() or ()
                if name == Header.REDRIVE_OF
            ]
            self._consumer.commit(message=message, asynchronous=False)


@pytest.fixture
def resolve(kafka: Kafka) -> Iterator[Resolve]:
    create_topics(kafka.bootstrap, {Topic.EVENTS_RECEIVED: PARTITIONS})
    made = Resolve(kafka)
    yield made
    made.close()


def test_killed_between_produce_and_mark_a_second_run_brings_everything_once(
    kafka: Kafka, local_aws: LocalAws, clients: Clients, resolve: Resolve
) -> None:
    """Given six dead letters, when the command is killed with -9 after its first flush and run
    again, then all six are counted once, the bucket is marked, and nothing is left to redrive."""
    s3, bucket = clients("s3"), f"t-{uuid4().hex[:10]}"
    s3.create_bucket(Bucket=bucket)
    events = [event(n, user=n % 4) for n in range(6)]
    for start in (0, 3):
        records = [record(one, start + n) for n, one in enumerate(events[start : start + 3])]
        key = f"aws/lambda/mapping/events.received-0/2026/01/05/{start}"
        s3.put_object(Bucket=bucket, Key=key, Body=kafka_object(records))
    script = Path(__file__).parent / "redrive_and_die.py"
    command = [sys.executable, str(script), kafka.bootstrap, local_aws.endpoint, bucket]
    killed = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()

    topics, letters = KafkaPositions(kafka.bootstrap, "plaintext"), S3DeadLetters(s3, bucket)
    counted = StoredCounts(resolve.store)
    shared: dict[str, Any] = {"bucket": letters, "topics": topics, "counted": counted}
    redrive = Redrive(functions=LambdaFunctions(clients("lambda")), wall=WallClock(), **shared)
    follow_up = FollowUp(deployment="desireline-dev", pause=resolve.read, **shared)
    found = redrive.survey(Selection())
    assert len(found.chosen) == 6
    sending = redrive.send(found, Order(id=uuid4().hex, requested_by="ada", why="fixed", rate=1000))
    outcome = follow_up(sending, 300)
    redrive.record(sending, dict(outcome.total))

    assert outcome.total == {RecordOutcome.FOLDED: 6}
    twice = [f"events.received-0@{n}" for n in range(6)] * 2
    assert sorted(resolve.redriven) == sorted(twice)
    after = redrive.survey(Selection())
    assert {kind.fate for kind in after.groups} == {Fate.MARKED}
    assert sum(after.folded.values()) == 6
    assert len(list(letters.notes("redrives/runs/"))) == 1
    topics.close()


def test_places_are_those_of_the_broker_and_absence_is_told(kafka: Kafka) -> None:
    name = f"test.{uuid4().hex[:10]}"
    create_topics(kafka.bootstrap, {name: 2})
    topics = KafkaPositions(kafka.bootstrap, "plaintext")

    places = topics.produce([Outgoing(name, f"k{n}", b"v") for n in range(10)], 10)

    by_partition: dict[int, list[int]] = {}
    for partition, offset in places:
        by_partition.setdefault(partition, []).append(offset)
    assert by_partition == {p: list(range(len(found))) for p, found in by_partition.items()}
    assert len(places) == 10
    assert topics.committed("nobody", name, {0, 1}) == {}
    topics.close()

    absent = KafkaPositions(f"127.0.0.1:{free_port()}", "plaintext")
    with pytest.raises(UnavailableError):
        absent.produce([Outgoing(name, "k", b"v")], 0.5)
