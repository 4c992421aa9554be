"""RawBodies on the real topic and on the archive: found by id and time, read within bounds."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.s3 import S3Blobs
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.archive.archive_history import ArchiveHistory
from desireline.contracts import READER_GROUP
from desireline.errors import UnavailableError
from desireline.events import RawWebhook
from desireline.ports import RawBodies, Span
from desireline.records import Record
from desireline_local.demo.in_memory import Silent
from desireline_local.kafka.broker import Kafka, free_port

HOUR = 3_600_000
PARTITIONS = 3
EVER = (0, 2**45)


def raw(number: int, at: int, *, stamped: bool = True) -> RawWebhook:
    return RawWebhook(
        id=f"{number:032x}",
        source="segment",
        received_at=at,
        headers={"content-type": "application/json"},
        body=base64.b64encode(b'{"n": %d}' % number).decode(),
        stamped=at if stamped else None,
    )


@dataclass
class Place:
    """Where bodies were put, and the port that reads them there."""

    bodies: RawBodies
    put: Callable[[Sequence[tuple[bytes, int]]], None]
    bucket: str = ""

    def take(self, *given: RawWebhook) -> None:
        self.put([(one.encode(), one.stamped or one.received_at) for one in given])


def on_kafka(kafka: Kafka, name: str) -> Place:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})

    def put(values: Sequence[tuple[bytes, int]]) -> None:
        for number, (value, at) in enumerate(values):
            producer.produce(name, value, b"k", partition=number % PARTITIONS, timestamp=at)
        assert producer.flush(60) == 0

    return Place(KafkaRawBodies(kafka.bootstrap, "plaintext", topic=name), put)


def in_the_archive(client: Any, name: str) -> Place:
    bucket = f"archive-{uuid4().hex[:10]}"
    client.create_bucket(Bucket=bucket)
    archive = ArchiveHistory(blobs=S3Blobs(client, bucket), metrics=Silent())
    offsets = itertools.count()

    def put(values: Sequence[tuple[bytes, int]]) -> None:
        for start in range(0, len(values), 2):
            archive(
                [
                    Record(name, number % PARTITIONS, next(offsets), at, b"k", value)
                    for number, (value, at) in enumerate(values[start : start + 2])
                ]
            )

    return Place(ArchivedRawBodies(client, bucket, topic=name), put, bucket)


@pytest.fixture(params=["kafka", "archive"])
def place(request, kafka, topic, clients) -> Place:
    name = topic(partitions=PARTITIONS)
    if request.param == "kafka":
        return on_kafka(kafka, name)
    return in_the_archive(clients("s3"), name)


def now() -> int:
    return time.time_ns() // 1_000_000


def read(bodies: RawBodies, span: Span) -> list[RawWebhook]:
    return [raw for raw, _ in bodies.read(span) if raw is not None]


def numbers(found: Iterable[RawWebhook]) -> list[int]:
    return sorted(int(one.id, 16) for one in found)


def test_a_body_is_found_by_its_id_and_the_time_of_its_arrival(place):
    moment = now() - 3 * HOUR
    place.take(*(raw(number, moment + number * 60_000) for number in range(20)))
    wanted = {raw(n, 0).id: moment + n * 60_000 for n in (3, 17)}

    found = place.bodies.find(wanted)

    assert {name: one.body for name, one in found.items()} == {
        raw(n, 0).id: raw(n, 0).body for n in (3, 17)
    }


def test_what_is_not_there_is_not_found(place):
    moment = now() - HOUR
    place.take(raw(1, moment))
    assert place.bodies.find({"0" * 32: moment, raw(1, 0).id: moment}).keys() == {raw(1, 0).id}
    assert place.bodies.find({}) == {}


def test_a_span_holds_exactly_what_arrived_in_its_times(place):
    moment = now() - 5 * HOUR
    place.take(*(raw(number, moment + number * 10_000) for number in range(30)))

    found = read(place.bodies, place.bodies.span(moment + 70_000, moment + 200_000))

    assert numbers(found) == list(range(7, 20))


def test_what_arrives_after_a_span_was_fixed_is_no_part_of_it(place):
    moment = now() - HOUR
    place.take(*(raw(number, moment + number) for number in range(10)))
    span = place.bodies.span(*EVER)
    place.take(*(raw(number, moment + number) for number in range(10, 20)))

    assert numbers(read(place.bodies, span)) == list(range(10))
    assert numbers(read(place.bodies, place.bodies.span(*EVER))) == list(range(20))


def test_a_reading_that_stopped_goes_on_where_it_was(place):
    moment = now() - HOUR
    place.take(*(raw(number, moment + number) for number in range(12)))
    first: list[RawWebhook] = []
    left = place.bodies.span(*EVER)
    for found, rest in place.bodies.read(left):
        left = rest
        if found is not None:
            first.append(found)
        if len(first) == 5:
            break

    second = read(place.bodies, left)

    assert numbers([*first, *second]) == list(range(12))
    assert len(second) == 7


def test_what_is_no_raw_webhook_is_passed_over(place):
    moment = now() - HOUR
    place.put([(b"not JSON", moment), (b"{}", moment), (raw(5, moment).encode(), moment)])
    assert numbers(read(place.bodies, place.bodies.span(*EVER))) == [5]


def test_a_body_of_a_version_without_a_stamp_has_the_records_time(place):
    moment = now() - HOUR
    place.take(raw(1, moment, stamped=False))
    (found,) = read(place.bodies, place.bodies.span(*EVER))
    assert found.stamped == moment


def test_an_empty_span_reads_nothing(place):
    assert read(place.bodies, place.bodies.span(*EVER)) == []
    place.take(raw(1, now() - HOUR))
    assert read(place.bodies, place.bodies.span(5, 5)) == []


def test_no_groups_offsets_are_changed(kafka, topic):
    """Given a group that stands at 2 and a reader, when all is read, then the group stands at 2 and
    the reader's own group has no offsets."""
    name = topic(partitions=PARTITIONS)
    place = on_kafka(kafka, name)
    place.take(*(raw(number, now()) for number in range(9)))
    group = uuid4().hex
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(name, 0, 2)], asynchronous=False)
    consumer.close()

    read(place.bodies, place.bodies.span(*EVER))

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def committed(of: str) -> list[int]:
        asked = ConsumerGroupTopicPartitions(of, [TopicPartition(name, 0)])
        (future,) = admin.list_consumer_group_offsets([asked]).values()
        return [one.offset for one in future.result(60).topic_partitions]

    assert committed(group) == [2]
    assert committed(READER_GROUP) == [-1001]


def test_a_body_far_from_its_files_first_record_is_found_in_the_archive(clients, unique):
    """Given a file that a backlog filled with eight hours, named by the first record of its lowest
    partition, when bodies before and after that are asked for, then they are found."""
    client = clients("s3")
    place = in_the_archive(client, unique)
    moment = now() - 12 * HOUR
    archive = ArchiveHistory(blobs=S3Blobs(client, place.bucket), metrics=Silent())
    hours = {0: 4, 1: 0, 2: 8}
    archive(
        [
            Record(unique, partition, 7, at, b"k", raw(hour, at).encode())
            for partition, hour in hours.items()
            for at in [moment + hour * HOUR]
        ]
    )
    assert numbers(
        place.bodies.find({raw(n, 0).id: moment + n * HOUR for n in (0, 8)}).values()
    ) == [
        0,
        8,
    ]
    late = read(place.bodies, place.bodies.span(moment + 8 * HOUR, moment + 9 * HOUR))
    assert numbers(late) == [8]


def test_a_broker_that_is_away_is_told_as_unavailable():
    bodies = KafkaRawBodies(f"127.0.0.1:{free_port()}", "plaintext")
    with pytest.raises(UnavailableError):
        bodies.span(*EVER)
