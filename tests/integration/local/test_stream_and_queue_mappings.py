"""Event source mappings of DynamoDB streams and SQS queues, as Lambda documents them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import Notes, create_function, eventually

# Notes the keys of every batch. A key that begins with "bad" fails as its mode says: "raise" the
# whole batch, "report" from that record on. "twice" makes it do so twice only.
CONSUMER = """
    calls = {}
    def handle(event, context):
        keys = [one["dynamodb"]["Keys"]["pk"]["S"] for one in event["Records"]]
        note(keys)
        held()
        for one, key in zip(event["Records"], keys):
            calls[key] = calls.get(key, 0) + 1
            if key.startswith("bad") or (key.startswith("twice") and calls[key] <= 2):
                if os.environ["MODE"] == "raise":
                    raise ValueError(key)
                number = one["dynamodb"]["SequenceNumber"]
                if os.environ["MODE"] == "unknown":
                    number = "12345"
                return {"batchItemFailures": [{"itemIdentifier": number}]}
        return {"batchItemFailures": []}
"""


class Stream:
    """A table whose stream a function consumes."""

    def __init__(self, aws: LocalAws, mode: str, held: Path, **mapping: Any) -> None:
        self._dynamodb, self._lambdas = aws.client("dynamodb"), aws.client("lambda")
        self.table = f"t-{uuid4().hex[:8]}"
        self.arn = self._dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]
        environment = {"MODE": mode, "HELD": str(held)}
        self.function = create_function(aws, CONSUMER, environment=environment)
        self.notes = Notes(aws, self.function)
        self._settings = mapping
        self._made: list[str] = []

    def put(self, *keys: str) -> None:
        for key in keys:
            self._dynamodb.put_item(TableName=self.table, Item={"pk": {"S": key}})

    def consume(self) -> str:
        """Make the mapping; its id."""
        settings = {"StartingPosition": "TRIM_HORIZON", **self._settings}
        made = self._lambdas.create_event_source_mapping(
            FunctionName=self.function, EventSourceArn=self.arn, **settings
        )
        self._made.append(made["UUID"])
        return self._made[-1]

    def end(self) -> None:
        """Nothing of it is left to do."""
        for mapping in self._made:
            self._lambdas.delete_event_source_mapping(UUID=mapping)


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """While a test has this file, functions do not come to an end."""
    return tmp_path / "held"


@pytest.fixture
def stream(local_aws: LocalAws, held: Path) -> Iterator[Callable[..., Stream]]:
    """Makes streams; their mappings end with the test, so that none is at work in another's."""
    made: list[Stream] = []

    def make(mode: str, **mapping: Any) -> Stream:
        made.append(Stream(local_aws, mode, held, **mapping))
        return made[-1]

    yield make
    held.unlink(missing_ok=True)
    for one in made:
        one.end()


REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


def test_a_stream_is_read_from_its_beginning_in_order(stream: Callable[..., Stream]) -> None:
    one = stream("raise", BatchSize=10)
    keys = [f"k{number}" for number in range(25)]
    one.put(*keys)

    one.consume()

    assert sum(one.notes.wait(3), []) == keys


def test_a_record_waits_for_no_other(stream: Callable[..., Stream]) -> None:
    one = stream("raise", BatchSize=10)
    one.consume()

    for number in range(10):
        one.put(f"k{number}")
        one.notes.wait(number + 1)

    assert one.notes.all() == [[f"k{number}"] for number in range(10)]


def test_a_failed_batch_is_tried_again_in_order_and_none_is_skipped(
    stream: Callable[..., Stream],
) -> None:
    one = stream("raise", BatchSize=3)
    one.put("a", "twice", "b", "c")

    one.consume()

    batch = ["a", "twice", "b"]
    assert one.notes.wait(4) == [batch, batch, batch, ["c"]]


def test_a_partial_response_repeats_from_the_first_failure_on(
    stream: Callable[..., Stream],
) -> None:
    one = stream("report", BatchSize=10, **REPORT)
    one.put("a", "twice", "b")

    one.consume()

    assert one.notes.wait(3) == [["a", "twice", "b"], ["twice", "b"], ["twice", "b"]]


def test_a_response_that_names_an_unknown_record_fails_the_batch(
    stream: Callable[..., Stream],
) -> None:
    one = stream("unknown", BatchSize=10, MaximumRetryAttempts=1, **REPORT)
    one.put("a", "bad", "b")

    one.consume()

    assert one.notes.wait(2) == [["a", "bad", "b"], ["a", "bad", "b"]]


def test_bisection_isolates_a_poisoned_record_which_goes_to_the_bucket_whole(
    local_aws: LocalAws, stream: Callable[..., Stream]
) -> None:
    s3, bucket = local_aws.client("s3"), f"b-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    one = stream(
        "raise",
        BatchSize=10,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    one.put("a", "b", "bad", "c")

    mapping = one.consume()
    eventually(lambda: one.notes.all()[-1:] == [["c"]])

    assert one.notes.all() == [
        ["a", "b", "bad", "c"],
        ["a", "b"],
        ["bad", "c"],
        *[["bad"]] * 3,
        ["c"],
    ]
    [found] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert found["Key"].startswith(f"aws/lambda/{mapping}/shardId-")
    document = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["DDBStreamBatchInfo"]["batchSize"] == 1
    [record] = json.loads(document["payload"])["Records"]
    assert record["dynamodb"]["NewImage"] == {"pk": {"S": "bad"}}


def test_a_stuck_mapping_holds_up_no_other(stream: Callable[..., Stream]) -> None:
    stuck, other = stream("raise"), stream("raise")
    stuck.consume()
    other.consume()
    stuck.put("bad")
    stuck.notes.wait(2)

    other.put("a")

    assert other.notes.wait(1) == [["a"]]


def test_nothing_is_at_rest_before_the_stream_is_handled(
    control: Control, stream: Callable[..., Stream], held: Path
) -> None:
    one = stream("raise", BatchSize=1)
    one.consume()
    assert control.rest()["stream_records"] == 0
    held.touch()
    one.put("twice")
    one.notes.wait(1)

    assert control.rest()["stream_records"] == 1
    held.unlink()
    one.notes.wait(3)
    eventually(lambda: control.rest()["stream_records"] == 0)


# Queues.

WORKER = """
    def handle(event, context):
        bodies = [one["body"] for one in event["Records"]]
        note(bodies)
        held()
        bad = [one for one in event["Records"] if one["body"].startswith("bad")]
        if bad and os.environ["MODE"] == "raise":
            raise ValueError(bad)
        if bad and os.environ["MODE"] == "unknown":
            return {"batchItemFailures": [{"itemIdentifier": "nobody"}]}
        if bad and os.environ["MODE"] == "nonsense":
            return {"batchItemFailures": "all"}
        return {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in bad]}
"""


class Queue:
    """A queue that a function consumes, with dead letters.

    One batch at a time: messages whose time is over while a slow function still has them would come
    to another of its environments."""

    def __init__(self, aws: LocalAws, mode: str, held: Path) -> None:
        self._sqs, lambdas = aws.client("sqs"), aws.client("lambda")
        name = f"q-{uuid4().hex[:8]}"
        self._dead = self._sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": self._arn(self._dead), "maxReceiveCount": "2"}
        self._url = self._sqs.create_queue(
            QueueName=name,
            Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(policy)},
        )["QueueUrl"]
        function = create_function(aws, WORKER, environment={"MODE": mode, "HELD": str(held)})
        lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
        self.notes = Notes(aws, function)
        for body in ("good", "bad"):
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body)
        lambdas.create_event_source_mapping(
            FunctionName=function, EventSourceArn=self._arn(self._url), BatchSize=10, **REPORT
        )

    def dead(self) -> list[str]:
        """The dead letters so far, sorted."""
        answer = self._sqs.receive_message(
            QueueUrl=self._dead, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return sorted(one["Body"] for one in answer.get("Messages", []))

    def _arn(self, url: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])


@pytest.fixture(scope="module")
def queues(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Queue]:
    """All at work at once: each takes seconds until its messages are given up."""
    never = tmp_path_factory.mktemp("queues") / "held"
    modes = ("report", "raise", "unknown", "nonsense")
    return {mode: Queue(local_aws, mode, never) for mode in modes}


def test_a_message_in_the_hands_of_a_function_is_not_at_rest(
    local_aws: LocalAws, control: Control, held: Path
) -> None:
    held.touch()
    queue = Queue(local_aws, "raise", held)
    queue.notes.wait(1)

    assert control.rest()["queued_messages"] >= 2
    held.unlink()
    eventually(lambda: control.rest()["queued_messages"] == 0)


def test_a_partial_response_repeats_only_the_failed_messages(queues: dict[str, Queue]) -> None:
    queue = queues["report"]

    eventually(lambda: queue.dead() == ["bad"])

    assert queue.notes.all() == [["good", "bad"], ["bad"]]


@pytest.mark.parametrize("mode", ["raise", "unknown", "nonsense"])
def test_a_failure_or_a_bad_response_repeats_the_whole_batch(
    queues: dict[str, Queue], mode: str
) -> None:
    queue = queues[mode]

    eventually(lambda: queue.dead() == ["bad", "good"])

    assert queue.notes.all() == [["good", "bad"], ["good", "bad"]]
