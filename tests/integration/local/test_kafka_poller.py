"""The poller against what AWS documents of a Kafka event source mapping."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from desireline_local.aws.cloud import LocalAws
from desireline_local.kafka.broker import Kafka, create_topics, free_port
from desireline_local.poller import consume
from desireline_local.poller.consume import MappingConsumer
from desireline_local.poller.event_source import KafkaEventSource
from tests.integration.tiny_functions import Notes, create_function, eventually

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
CLUSTER = "arn:aws:kafka:us-east-1:000000000000:cluster/local/abc-1"

# Notes every batch as {place: [values]}. Values that begin with "bad" always fail, "twice" do so
# the first two times; how, says MODE. All else fails, too, while the file HELD is there.
CONSUMER = """
    import base64
    calls = {}
    def handle(event, context):
        def pair(one):
            return one["offset"], base64.b64decode(one["value"]).decode()
        found = {place: [pair(one) for one in records]
                 for place, records in event["records"].items()}
        note({place: [value[:20] for _, value in pairs] for place, pairs in found.items()})
        if os.path.exists(os.environ["HELD"]):
            raise ValueError("not yet")
        failed = []
        for place, pairs in found.items():
            for offset, value in pairs:
                calls[value] = calls.get(value, 0) + 1
                if value.startswith("bad") or (value.startswith("twice") and calls[value] <= 2):
                    failed.append({"partition": place, "offset": offset})
        if failed and os.environ["MODE"] == "raise":
            raise ValueError(failed)
        if failed and os.environ["MODE"] == "unknown":
            failed = [{"partition": "another-0", "offset": 1}]
        if failed and os.environ["MODE"] == "nonsense":
            return {"batchItemFailures": [{"itemIdentifier": None}]}
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""
PROVISIONED = {"MinimumPollers": 1, "MaximumPollers": 2}
FULL = 3600.0
"""A window so long that a batch comes when it is full, and is the same however records arrive."""


class Source:
    """A topic, a function that consumes it, and a bucket for what it gives up."""

    def __init__(
        self, kafka: Kafka, aws: LocalAws, topic: str, mode: str, held: Path, **settings: Any
    ) -> None:
        self.topic = topic
        self.kafka = kafka
        self.aws = aws
        environment = {"MODE": mode, "HELD": str(held)}
        self.function = create_function(aws, CONSUMER, environment=environment)
        self.held = held
        self.notes = Notes(aws, self.function)
        self.bucket = f"dead-{uuid4().hex[:8]}"
        self._s3 = aws.client("s3")
        self._s3.create_bucket(Bucket=self.bucket)
        self.mapping = mapping(self, **settings)
        self._running: list[MappingConsumer] = []

    def produce(self, *values: str, partition: int = 0, **more: Any) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 0})
        refused: list[Any] = []
        for value in values:
            producer.produce(
                self.topic,
                value.encode(),
                partition=partition,
                on_delivery=lambda error, _: refused.append(error) if error else None,
                **more,
            )
        assert producer.flush(300) == 0
        assert not refused

    def consumer(self) -> MappingConsumer:
        return MappingConsumer(
            self.mapping,
            bootstrap=self.kafka.bootstrap,
            lambdas=self.aws.client("lambda"),
            s3=self._s3,
        )

    def poll(self) -> MappingConsumer:
        consumer = self.consumer()
        consumer.start()
        self._running.append(consumer)
        return consumer

    def stop(self) -> None:
        for consumer in self._running:
            consumer.end()
        for consumer in self._running:
            consumer.join(120)
            assert not consumer.is_alive()
        self._running.clear()

    def batches(self, count: int) -> list[list[str]]:
        """The values of each invocation so far, once there are `count`."""
        return [sum(one.values(), []) for one in self.notes.wait(count)]

    def dead_letters(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and document of every object in the bucket, by key."""
        listed = self._s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        keys = sorted(one["Key"] for one in listed)
        return [
            (key, json.loads(self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()))
            for key in keys
        ]

    def committed(self) -> int:
        return sum(self._running[-1].done.values())


def mapping(source: Source, **settings: Any) -> KafkaEventSource:
    """A mapping with provisioned pollers, all else as a test asks."""
    defaults: dict[str, Any] = {
        "id": str(uuid4()),
        "function": source.function,
        "arn": ARN + source.function,
        "source": CLUSTER,
        "topic": source.topic,
        "group": f"group-{uuid4().hex[:8]}",
        "batch_size": 10,
        "window": 0.0,
        "retries": 3,
        "max_age": -1,
        "bisect": False,
        "partial": True,
        "bucket": source.bucket,
        "pollers": 2,
    }
    return KafkaEventSource(**{**defaults, **settings})


@pytest.fixture
def source(
    kafka: Kafka, local_aws: LocalAws, topic: Callable[..., str], tmp_path: Path
) -> Iterator[Callable[..., Source]]:
    """Makes a source; its pollers are stopped afterwards."""
    made: list[Source] = []

    def make(mode: str = "report", *, partitions: int = 1, **settings: Any) -> Source:
        name, held = topic(partitions=partitions), tmp_path / "held"
        made.append(Source(kafka, local_aws, name, mode, held, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_the_event_has_the_shape_of_msk(
    kafka: Kafka, local_aws: LocalAws, source: Callable[..., Source]
) -> None:
    one = source()
    echo = create_function(local_aws, "def handle(event, context): note(event)")
    one.notes = Notes(local_aws, echo)
    one.mapping = mapping(one, function=echo, arn=ARN + echo)
    stamp = round(time.time() * 1000) - 60_000
    one.produce("hello", key=b"\xff key", headers={"trace": b"\x00\xfe"}, timestamp=stamp)

    one.poll()

    [event] = one.notes.wait(1)
    assert event == {
        "eventSource": "aws:kafka",
        "eventSourceArn": CLUSTER,
        "bootstrapServers": kafka.bootstrap,
        "records": {
            f"{one.topic}-0": [
                {
                    "topic": one.topic,
                    "partition": 0,
                    "offset": 0,
                    "timestamp": stamp,
                    "timestampType": "CREATE_TIME",
                    "key": base64.b64encode(b"\xff key").decode(),
                    "value": base64.b64encode(b"hello").decode(),
                    "headers": [{"trace": [0, 254]}],
                }
            ]
        },
    }


def test_a_topic_is_read_from_its_beginning_in_order_in_batches(
    source: Callable[..., Source],
) -> None:
    one, values = source(batch_size=10, window=FULL), [f"v{number}" for number in range(40)]
    one.produce(*values)

    one.poll()

    eventually(lambda: one.committed() == 40)
    assert one.batches(4) == [values[at : at + 10] for at in range(0, 40, 10)]


def test_a_window_gathers_records(source: Callable[..., Source]) -> None:
    one = source(batch_size=3, window=FULL)
    consumer = one.poll()
    one.produce("a")
    eventually(lambda: len(consumer._waiting.get(0, ())) == 1)
    one.produce("b", "c")

    assert one.batches(1) == [["a", "b", "c"]]


def test_a_window_ends_without_more_records(source: Callable[..., Source]) -> None:
    one = source(batch_size=3, window=0.5)
    one.produce("a", "b")

    one.poll()

    eventually(lambda: one.committed() == 2)
    assert sum(one.batches(1), []) == ["a", "b"]


def test_a_batch_stays_below_six_megabytes(source: Callable[..., Source]) -> None:
    one = source(batch_size=100)
    one.produce(*[str(number) * 900_000 for number in range(8)])

    one.poll()

    eventually(lambda: one.committed() == 8)
    sizes = [len(batch) for batch in one.batches(2)]
    assert sum(sizes) == 8, "none was refused and tried again"
    assert max(sizes) <= 5, "five are 6.0 MB in base64"


def test_without_a_window_a_record_is_delivered_at_once(
    source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the time has passed for which the poller waits where nothing comes."""
    monkeypatch.setattr(consume, "IDLE_SECONDS", 3600.0)
    one = source(batch_size=500)
    consumer = one.poll()

    for number in range(10):
        one.produce(f"v{number}")
        eventually(lambda count=number + 1: one.committed() == count)  # type: ignore[misc]

    consumer.end()
    one.produce("so that it wakes")


# Failures.


def test_only_the_reported_records_are_tried_again(source: Callable[..., Source]) -> None:
    one = source(batch_size=5, window=FULL)
    one.produce("a", "twice1", "b", "twice2", "c")

    one.poll()

    failed = ["twice1", "twice2"]
    assert one.batches(3) == [["a", "twice1", "b", "twice2", "c"], failed, failed]
    eventually(lambda: one.committed() == 5)
    assert one.dead_letters() == []


@pytest.mark.parametrize("mode", ["unknown", "nonsense"])
def test_a_response_that_names_no_record_of_the_batch_fails_all_of_it(
    source: Callable[..., Source], mode: str
) -> None:
    one = source(mode, batch_size=3, window=FULL)
    one.produce("a", "twice", "b")

    one.poll()

    assert one.batches(3) == [["a", "twice", "b"]] * 3
    eventually(lambda: one.committed() == 3)


def test_without_provisioned_pollers_a_partial_response_means_success(
    source: Callable[..., Source],
) -> None:
    one = source(partial=False, batch_size=3, window=FULL)
    one.produce("a", "bad", "b")

    one.poll()

    eventually(lambda: one.committed() == 3)
    assert one.batches(1) == [["a", "bad", "b"]]


def test_a_failed_batch_comes_again_before_what_follows(source: Callable[..., Source]) -> None:
    one = source("raise", batch_size=2, window=FULL)
    one.produce("a", "twice", "b", "c")

    one.poll()

    assert one.batches(4) == [["a", "twice"]] * 3 + [["b", "c"]]


def test_bisection_isolates_a_poisoned_record_which_goes_to_the_bucket_whole(
    kafka: Kafka, source: Callable[..., Source]
) -> None:
    one = source("raise", bisect=True, retries=2, batch_size=4, window=FULL)
    stamp = round(time.time() * 1000) - 60_000
    one.produce("a", "b")
    one.produce("bad", key="Käse".encode(), headers={"trace": b"\x00\xfe"}, timestamp=stamp)
    one.produce("c")

    one.poll()

    eventually(lambda: one.committed() == 4)
    assert one.batches(7) == [
        ["a", "b", "bad", "c"],
        ["a", "b"],
        ["bad", "c"],
        *[["bad"]] * 3,
        ["c"],
    ]
    [(key, document)] = one.dead_letters()
    assert re.match(rf"aws/lambda/{one.mapping.id}/{one.topic}-0/\d{{4}}/\d\d/\d\d/", key)
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 3
    assert document["KafkaBatchInfo"]["batchSize"] == 1
    assert document["KafkaBatchInfo"]["recordsInfo"][f"{one.topic}-0"]["firstRecordOffset"] == "2"
    [record] = json.loads(document["payload"])["records"][f"{one.topic}-0"]
    assert base64.b64decode(record["value"]) == b"bad"
    assert base64.b64decode(record["key"]).decode() == "Käse"
    assert record["headers"] == [{"trace": [0, 254]}]
    assert (record["offset"], record["timestamp"]) == (2, stamp)


def test_a_poisoned_partition_holds_up_no_other(source: Callable[..., Source]) -> None:
    one = source("raise", partitions=4, bisect=True, retries=1000, pollers=1)
    for partition in range(4):
        one.produce("bad" if partition == 1 else f"first{partition}", partition=partition)
    one.poll()
    one.notes.wait(3)

    for partition in range(4):
        one.produce(f"second{partition}", partition=partition)

    def others_are_done() -> bool:
        seen = {value for batch in one.batches(1) for value in batch}
        return {"second0", "second2", "second3"} <= seen

    eventually(others_are_done)
    assert "second1" not in {value for batch in one.batches(1) for value in batch}


def test_a_record_that_is_too_old_is_not_delivered(source: Callable[..., Source]) -> None:
    one = source(max_age=3600, batch_size=2, window=FULL)
    hours_ago = round((time.time() - 7200) * 1000)
    one.produce("old", timestamp=hours_ago)
    one.produce("new")

    one.poll()

    eventually(lambda: one.committed() == 2)
    assert one.batches(1) == [["new"]]
    [(_, document)] = one.dead_letters()
    assert document["requestContext"]["condition"] == "MaxRecordAgeExceeded"


def test_a_record_that_no_event_can_hold_is_set_aside(source: Callable[..., Source]) -> None:
    one = source()
    one.produce("a")
    producer = Producer({"bootstrap.servers": one.kafka.bootstrap, "message.max.bytes": 7_000_000})
    producer.produce(one.topic, b"x" * 5_000_000, partition=0)
    assert producer.flush(300) == 0
    one.produce("b")

    one.poll()

    eventually(lambda: one.committed() == 3)
    [(_, document)] = one.dead_letters()
    assert document["requestContext"]["condition"] == "MaximumPayloadSizeExceeded"
    assert document["responseContext"] is None


def test_a_throttle_is_no_attempt(local_aws: LocalAws, source: Callable[..., Source]) -> None:
    one, lambdas = source(retries=1), local_aws.client("lambda")
    lambdas.put_function_concurrency(FunctionName=one.function, ReservedConcurrentExecutions=0)
    one.produce("a")
    consumer = one.poll()
    eventually(lambda: consumer.counts.invocations >= 5)

    lambdas.delete_function_concurrency(FunctionName=one.function)

    assert one.batches(1) == [["a"]]
    eventually(lambda: one.committed() == 1)
    assert one.dead_letters() == []


def test_a_commit_follows_what_is_handled_not_what_is_read(source: Callable[..., Source]) -> None:
    one = source(retries=1000, batch_size=3, window=FULL)
    one.produce("a", "bad", "b")
    one.poll()
    one.notes.wait(3)
    one.stop()

    again = {"id": one.mapping.id, "group": one.mapping.group, "batch_size": 2, "window": FULL}
    one.mapping = mapping(one, retries=0, **again)
    consumer = one.poll()

    eventually(lambda: consumer.done.get(0) == 3)
    assert one.batches(1)[-1] == ["bad", "b"], "a was committed, b came again"


def test_new_partitions_are_found(source: Callable[..., Source]) -> None:
    one = source()
    one.produce("a")
    one.poll()
    one.notes.wait(1)
    admin = AdminClient({"bootstrap.servers": one.kafka.bootstrap})
    [grown] = admin.create_partitions([NewPartitions(one.topic, 3)]).values()
    grown.result(60)
    create_topics(one.kafka.bootstrap, {one.topic: 3})  # it is there: their leaders are waited for

    one.produce("b", partition=2)

    eventually(lambda: one.batches(1)[-1] == ["b"])


def test_a_partition_that_was_not_read_on_for_its_backlog_is_read_after_a_rebalance(
    source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more waiting records than are buffered, when another member takes the partition, all
    while the poller waits for records, and leaves."""
    monkeypatch.setattr(consume, "IDLE_SECONDS", 2.0)
    one, total = source(batch_size=5, pollers=1, retries=-1), 100
    one.held.touch()
    one.produce(*(str(number) for number in range(total)))
    consumer = one.poll()
    one.notes.wait(1)
    # Partitions go to members in the order of their names.
    names = {"group.id": one.mapping.group, "client.id": "a first member"}
    other = Consumer({"bootstrap.servers": one.kafka.bootstrap, **names})
    joined: list[Any] = []
    other.subscribe([one.topic], on_assign=lambda _, places: joined.extend(places))
    eventually(lambda: other.poll(0.1) is None and bool(joined))
    one.held.unlink()

    other.close()

    eventually(lambda: consumer.done.get(0) == total)


class Starting:
    """A consumer's view of a broker that refuses everything once."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def committed(self, places: list[TopicPartition], *, timeout: float) -> list[TopicPartition]:
        self._refuse_once("committed")
        return places

    def get_watermark_offsets(self, _: TopicPartition, *, timeout: float) -> tuple[int, int]:
        self._refuse_once("watermarks")
        return 3, 9

    def _refuse_once(self, what: str) -> None:
        if what not in self._refused:
            self._refused.add(what)
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))


def test_a_broker_that_does_not_answer_yet_is_asked_again(source: Callable[..., Source]) -> None:
    one = source()
    consumer = one.consumer()

    consumer._assigned(Starting(), [TopicPartition(one.topic, 0)])  # type: ignore[arg-type]

    assert consumer.done == {0: 3}


# The process.


class PollerProcess:
    """`python -m desireline_local.poller` over the mappings of a local AWS."""

    def __init__(self, aws: LocalAws, kafka: Kafka, log: Path) -> None:
        self._command = [sys.executable, "-m", "desireline_local.poller", aws.endpoint]
        self._command += [kafka.bootstrap, str(free_port())]
        self._log = log
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._command[-1]}"

    def tail(self) -> str:
        return self._log.read_text()[-3000:]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.process = self._start()


def test_a_killed_poller_and_a_killed_broker_lose_nothing(
    tmp_path: Path, local_aws: LocalAws
) -> None:
    """10,000 records; the poller and the broker are killed with -9 in the middle."""
    total, topic = 10_000, "flood"
    function = create_function(
        local_aws,
        """
        import base64
        def handle(event, context):
            note([int(base64.b64decode(one["value"])) for records in event["records"].values()
                  for one in records])
        """,
    )
    notes = Notes(local_aws, function)
    created = local_aws.client("cloudformation")
    template = {
        "Resources": {
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": function,
                    "EventSourceArn": CLUSTER,
                    "Topics": [topic],
                    "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "flood"},
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 200,
                    "ProvisionedPollerConfig": PROVISIONED,
                },
            }
        }
    }
    stack = f"s-{uuid4().hex[:8]}"
    with Kafka(tmp_path / "kafka") as kafka:
        create_topics(kafka.bootstrap, {topic: 4})
        created.create_stack(StackName=stack, TemplateBody=json.dumps(template))
        lambdas = local_aws.client("lambda")
        eventually(
            lambda: (
                len(
                    lambdas.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
                )
                == 1
            )
        )
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
        poller = PollerProcess(local_aws, kafka, tmp_path / "poller.log")
        try:
            for number in range(total):
                producer.produce(topic, str(number).encode(), str(number % 997).encode())
                producer.poll(0)
                if number == 4_000:
                    notes.wait(1)
                    poller.kill()
                    poller.restart()
                if number == 7_000:
                    kafka.kill(kafka.nodes[0])
                    kafka.start_node(kafka.nodes[0])
            assert producer.flush(300) == 0
            kafka.wait(kafka.nodes[0])

            def handled() -> bool:
                try:
                    found = httpx.get(f"{poller.url}/status", timeout=60)
                except httpx.TransportError:
                    return False
                return found.is_success and found.json()["mappings"][0]["lag"] == 0

            eventually(
                handled, seconds=300, what=lambda: (tmp_path / "poller.log").read_text()[-3000:]
            )
            seen = Counter(number for batch in notes.all() for number in batch)
            poller.process.terminate()
            assert poller.process.wait(120) == 0, "it ends cleanly"
        finally:
            if poller.process.poll() is None:
                poller.kill()
            created.delete_stack(StackName=stack)

    assert set(seen) == set(range(total)), "none lost"
    assert sum(seen.values()) - total <= 4 * 2 * 200 * 4, "little is repeated"
