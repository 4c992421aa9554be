"""Event source mappings of DynamoDB streams and SQS queues, as Lambda documents them."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import pytest

from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import Notes, create_function, eventually

# Notes the keys of every batch. A key that begins with "bad" fails as its mode says: "raise" the
# whole batch, "report" from that record on. "slow2" makes it do so twice only.
CONSUMER = """
    calls = {}
    def handle(event, context):
        keys = [one["dynamodb"]["Keys"]["pk"]["S"] for one in event["Records"]]
        note(keys)
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

    def __init__(self, aws: LocalAws, mode: str, **mapping: Any) -> None:
        self._dynamodb, self._lambdas = aws.client("dynamodb"), aws.client("lambda")
        self.table = f"t-{uuid4().hex[:8]}"
        self.arn = self._dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]
        self.function = create_function(aws, CONSUMER, environment={"MODE": mode})
        self.notes = Notes(aws, self.function)
        self._settings = mapping

    def put(self, *keys: str) -> None:
        for key in keys:
            self._dynamodb.put_item(TableName=self.table, Item={"pk": {"S": key}})

    def consume(self) -> str:
        """Make the mapping; its id."""
        settings = {"StartingPosition": "TRIM_HORIZON", **self._settings}
        return str(
            self._lambdas.create_event_source_mapping(
                FunctionName=self.function, EventSourceArn=self.arn, **settings
            )["UUID"]
        )


REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


def test_a_stream_is_read_from_its_beginning_in_order(local_aws: LocalAws) -> None:
    stream = Stream(local_aws, "raise", BatchSize=10)
    keys = [f"k{number}" for number in range(25)]
    stream.put(*keys)

    stream.consume()

    assert sum(stream.notes.wait(3), []) == keys


def test_a_record_reaches_its_function_at_once(local_aws: LocalAws) -> None:
    stream = Stream(local_aws, "raise", BatchSize=10)
    stream.consume()
    stream.put("warm")
    stream.notes.wait(1)
    spent = []
    for number in range(10):
        began = time.perf_counter()
        stream.put(f"k{number}")
        eventually(lambda count=number + 2: len(stream.notes.all()) >= count)  # type: ignore[misc]
        spent.append(time.perf_counter() - began)

    assert sorted(spent)[5] < 0.25


def test_a_failed_batch_is_tried_again_in_order_and_none_is_skipped(local_aws: LocalAws) -> None:
    stream = Stream(local_aws, "raise", BatchSize=3)
    stream.put("a", "twice", "b", "c")

    stream.consume()

    batch = ["a", "twice", "b"]
    assert stream.notes.wait(4) == [batch, batch, batch, ["c"]]


def test_a_partial_response_repeats_from_the_first_failure_on(local_aws: LocalAws) -> None:
    stream = Stream(local_aws, "report", BatchSize=10, **REPORT)
    stream.put("a", "twice", "b")

    stream.consume()

    assert stream.notes.wait(3) == [["a", "twice", "b"], ["twice", "b"], ["twice", "b"]]


def test_a_response_that_names_an_unknown_record_fails_the_batch(local_aws: LocalAws) -> None:
    stream = Stream(local_aws, "unknown", BatchSize=10, MaximumRetryAttempts=1, **REPORT)
    stream.put("a", "bad", "b")

    stream.consume()

    assert stream.notes.wait(2) == [["a", "bad", "b"], ["a", "bad", "b"]]


def test_bisection_isolates_a_poisoned_record_which_goes_to_the_bucket_whole(
    local_aws: LocalAws,
) -> None:
    s3, bucket = local_aws.client("s3"), f"b-{uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    stream = Stream(
        local_aws,
        "raise",
        BatchSize=10,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    stream.put("a", "b", "bad", "c")

    mapping = stream.consume()
    eventually(lambda: stream.notes.all()[-1:] == [["c"]])

    assert stream.notes.all() == [
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


def test_a_stuck_mapping_holds_up_no_other(local_aws: LocalAws) -> None:
    stuck, other = Stream(local_aws, "raise"), Stream(local_aws, "raise")
    stuck.consume()
    other.consume()
    stuck.put("bad")
    stuck.notes.wait(2)

    other.put("a")

    assert other.notes.wait(1, seconds=3) == [["a"]]


def test_nothing_is_at_rest_before_the_stream_is_handled(
    local_aws: LocalAws, control: Control
) -> None:
    stream = Stream(local_aws, "raise", BatchSize=1)
    stream.consume()
    before = control.rest()["stream_records"]
    stream.put("twice")

    assert control.rest()["stream_records"] == before + 1
    stream.notes.wait(3)
    eventually(lambda: control.rest()["stream_records"] == before)


# Queues.

WORKER = """
    def handle(event, context):
        bodies = [one["body"] for one in event["Records"]]
        note(bodies)
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
    """A queue that a function consumes, with dead letters."""

    def __init__(self, aws: LocalAws, mode: str) -> None:
        self._sqs, lambdas = aws.client("sqs"), aws.client("lambda")
        name = f"q-{uuid4().hex[:8]}"
        self._dead = self._sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": self._arn(self._dead), "maxReceiveCount": "2"}
        self._url = self._sqs.create_queue(
            QueueName=name,
            Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(policy)},
        )["QueueUrl"]
        function = create_function(aws, WORKER, timeout=1, environment={"MODE": mode})
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
def queues(local_aws: LocalAws) -> dict[str, Queue]:
    """All at work at once: each takes seconds until its messages are given up."""
    return {mode: Queue(local_aws, mode) for mode in ("report", "raise", "unknown", "nonsense")}


def test_a_message_in_the_hands_of_a_function_is_not_at_rest(
    local_aws: LocalAws, control: Control, queues: dict[str, Queue]
) -> None:
    eventually(lambda: bool(queues["raise"].notes.all()))

    assert control.rest()["queued_messages"] >= 2
    eventually(lambda: control.rest()["queued_messages"] == 0, seconds=10)


def test_a_partial_response_repeats_only_the_failed_messages(queues: dict[str, Queue]) -> None:
    queue = queues["report"]

    eventually(lambda: queue.dead() == ["bad"], seconds=10)

    assert queue.notes.all() == [["good", "bad"], ["bad"]]


@pytest.mark.parametrize("mode", ["raise", "unknown", "nonsense"])
def test_a_failure_or_a_bad_response_repeats_the_whole_batch(
    queues: dict[str, Queue], mode: str
) -> None:
    queue = queues[mode]

    eventually(lambda: queue.dead() == ["bad", "good"], seconds=10)

    assert queue.notes.all() == [["good", "bad"], ["good", "bad"]]
