"""What the local AWS keeps of the past is bounded, and no consumer misses anything by it."""

from __future__ import annotations

from uuid import uuid4

from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import Notes, create_function, eventually, invoke

KEPT_LOGS, KEPT_CHANGES = 200, 500
"""As `desireline_local.aws.tool.retention`, which only ministack's environment can import."""

COUNTS = """
    def handle(event, context):
        keys = [one["dynamodb"]["Keys"]["pk"]["S"] for one in event["Records"]]
        note([int(key) for key in keys])
"""


def test_the_newest_logs_of_a_function_are_kept(local_aws: LocalAws) -> None:
    name = create_function(local_aws, "def handle(event, context): print('call', event)")
    calls = KEPT_LOGS + 20
    for number in range(calls):
        invoke(local_aws, name, number)

    group = f"/aws/lambda/{name}"
    logs = local_aws.client("logs")
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
    streams = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    lines = {
        event["message"]
        for stream in streams
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
    }

    assert len(streams) == KEPT_LOGS
    assert {f"call {number}" for number in range(20, calls)} <= lines
    assert "call 19" not in lines


def test_a_stream_forgets_what_its_mapping_has_handled_and_nothing_else(
    local_aws: LocalAws,
) -> None:
    """Given a mapping that is disabled while more changes are written than are kept, when it is
    enabled, then its function has every change once, in order; and the stream's horizon moves."""
    changes = 3 * KEPT_CHANGES
    dynamodb = local_aws.client("dynamodb")
    table = f"changes-{uuid4().hex[:8]}"
    created = dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    stream = created["TableDescription"]["LatestStreamArn"]
    name = create_function(local_aws, COUNTS)
    mapping = local_aws.client("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=stream, StartingPosition="TRIM_HORIZON", BatchSize=100
    )["UUID"]
    notes = Notes(local_aws, name)

    def write(first: int, last: int) -> None:
        for number in range(first, last):
            dynamodb.put_item(TableName=table, Item={"pk": {"S": str(number)}})

    def handled() -> list[int]:
        return [number for batch in notes.all() for number in batch]

    write(0, 10)
    eventually(lambda: len(handled()) == 10)
    lambdas = local_aws.client("lambda")
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=False)
    write(10, changes)
    assert _oldest(local_aws, stream) == "10"
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=True)
    eventually(lambda: len(handled()) >= changes)
    write(changes, changes + 1)
    eventually(lambda: len(handled()) >= changes + 1)

    assert handled() == list(range(changes + 1))
    assert int(_oldest(local_aws, stream)) > changes - 2 * KEPT_CHANGES


def _oldest(aws: LocalAws, stream: str) -> str:
    """The key of the oldest change that the stream still has."""
    client = aws.client("dynamodbstreams")
    (shard,) = client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    iterator = client.get_shard_iterator(
        StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = client.get_records(ShardIterator=iterator, Limit=1)["Records"]
    return str(records[0]["dynamodb"]["Keys"]["pk"]["S"])
