"""What the launcher counts for a bill, against what AWS documents that it charges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import create_function, eventually, invoke


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Of its own: what other modules have left at work would be counted as well."""
    with LocalAws(tmp_path_factory.mktemp("usage")) as aws:
        yield aws


@pytest.fixture
def counted(local_aws: LocalAws) -> Control:
    control = local_aws.control
    control.count()
    return control


def test_units_of_tables_follow_the_sizes_of_items(
    local_aws: LocalAws, counted: Control, table: str
) -> None:
    """A write is a unit for each KB begun, twice in a transaction, a checked or refused condition
    is a write; a consistent read is a unit for each 4 KB begun, of what is not there, too, and a
    batch of reads rounds up each of its items; half of it is charged where consistency is not asked
    for."""
    rows = local_aws.client("dynamodb")
    large = {"pk": {"S": "large"}, "text": {"S": "x" * 1500}}
    small = {"pk": {"S": "small"}}

    rows.put_item(TableName=table, Item=large)  # 2
    with suppress(rows.exceptions.ConditionalCheckFailedException):  # 2
        rows.put_item(TableName=table, Item=large, ConditionExpression="attribute_not_exists(pk)")
    check = {"TableName": table, "Key": {"pk": {"S": "large"}}}
    rows.transact_write_items(  # 2 + 4
        TransactItems=[
            {"Put": {"TableName": table, "Item": small}},
            {"ConditionCheck": {**check, "ConditionExpression": "attribute_exists(pk)"}},
        ]
    )
    rows.get_item(TableName=table, Key={"pk": {"S": "large"}}, ConsistentRead=True)  # 1
    rows.get_item(TableName=table, Key={"pk": {"S": "nobody"}}, ConsistentRead=True)  # 1

    keys = [{"pk": {"S": name}} for name in ("large", "small", "nobody", "no other")]
    rows.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})  # 4
    rows.batch_get_item(RequestItems={table: {"Keys": keys[:3]}})  # 1.5

    usage = counted.usage()
    assert usage["write_units"] == {table: 10}
    assert usage["read_units"] == {table: 7.5}
    assert usage["calls"]["dynamodb.PutItem"] == 2


def test_functions_are_counted_with_their_time_and_log(
    local_aws: LocalAws, counted: Control
) -> None:
    """An invocation is billed for the time of its handler, not for the wait for its log; a line of
    log for its text and what CloudWatch adds."""
    name = create_function(
        local_aws,
        """
        def handle(event, context):
            time.sleep(0.05)
            print("twelve bytes")
            return {}
        """,
    )
    invoke(local_aws, name, {})
    before = counted.usage()
    assert before["warm"] == {}
    counted.count()
    for _ in range(3):
        invoke(local_aws, name, {})

    usage = counted.usage()

    assert before["invocations"] == {name: 1}
    assert usage["invocations"] == {name: 3}
    assert usage["milliseconds"][name] >= 150
    assert usage["warm"] == {name: 3}
    assert 0 <= usage["cpu_seconds"][name] < 0.15
    assert usage["log_bytes"] == {name: 3 * (12 + 26)}


def test_calls_are_counted_for_the_function_that_makes_them(
    local_aws: LocalAws, counted: Control, table: str
) -> None:
    name = create_function(
        local_aws,
        """
        import boto3

        def handle(event, context):
            boto3.client("sqs").list_queues()
            boto3.client("dynamodb").get_item(TableName=event["table"], Key={"pk": {"S": "a"}})
            return {}
        """,
    )
    local_aws.client("sqs").list_queues()
    invoke(local_aws, name, {"table": table})

    assert counted.usage()["called"] == {name: 2}


def test_transitions_and_calls_of_services_are_counted_and_then_no_longer(
    local_aws: LocalAws, counted: Control
) -> None:
    queues, machines = local_aws.client("sqs"), local_aws.client("stepfunctions")
    queue = queues.create_queue(QueueName=f"q-{uuid4().hex[:8]}")["QueueUrl"]
    definition = {
        "StartAt": "A",
        "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}},
    }
    machine = machines.create_state_machine(
        name=f"m-{uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/test",
    )["stateMachineArn"]
    execution = machines.start_execution(stateMachineArn=machine)["executionArn"]
    queues.send_message(QueueUrl=queue, MessageBody="one")
    eventually(lambda: machines.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")

    usage = counted.usage()
    queues.send_message(QueueUrl=queue, MessageBody="two")

    assert usage["transitions"] == 2
    assert usage["calls"]["sqs.SendMessage"] == 1
    assert counted.usage()["calls"]["sqs.SendMessage"] == 1
