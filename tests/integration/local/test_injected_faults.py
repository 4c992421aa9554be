"""Faults that the launcher injects, as a client of the service sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import eventually

THROTTLED = "ProvisionedThroughputExceededException"
MEANWHILE = 20
"""Seconds for which others are waited for at most: less than a silence lasts (30 s)."""


@pytest.fixture(autouse=True)
def no_faults_afterwards(control: Control) -> Iterator[None]:
    yield
    set_faults(control, throttle=0, conflict=0, silent_publishes=0, planned=[])


def set_faults(control: Control, **wanted: Any) -> dict[str, Any]:
    return control.faults(**wanted)


def put(dynamodb: Any, table: str, key: str) -> str:
    """The error's code, or nothing."""
    try:
        dynamodb.put_item(TableName=table, Item={"pk": {"S": key}})
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def transact(dynamodb: Any, table: str) -> list[str]:
    """The codes for which a transaction of two puts is cancelled."""
    puts = [{"Put": {"TableName": table, "Item": {"pk": {"S": key}}}} for key in "ab"]
    try:
        dynamodb.transact_write_items(TransactItems=puts)
    except dynamodb.exceptions.TransactionCanceledException as error:
        return [reason["Code"] for reason in error.response["CancellationReasons"]]
    return []


def test_a_share_of_calls_is_throttled_and_leaves_nothing(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    dynamodb = local_aws.client("dynamodb")
    set_faults(control, throttle=0.4, seed=7)

    answers = [put(dynamodb, table, str(number)) for number in range(100)]

    assert 20 <= answers.count(THROTTLED) <= 60
    assert set(answers) == {"", THROTTLED}
    set_faults(control, throttle=0)
    assert dynamodb.scan(TableName=table)["Count"] == answers.count("")


def test_the_same_seed_throttles_the_same_calls(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    dynamodb = local_aws.client("dynamodb")

    def answers() -> list[str]:
        set_faults(control, throttle=0.5, seed=11)
        return [put(dynamodb, table, str(number)) for number in range(40)]

    assert answers() == answers()


def test_planned_faults_hit_the_next_calls_of_one_operation_on_one_table(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    dynamodb = local_aws.client("dynamodb")
    set_faults(
        control,
        planned=[{"kind": "throttle", "operation": "PutItem", "table": table, "calls": 2}],
    )

    dynamodb.get_item(TableName=table, Key={"pk": {"S": "1"}})
    answers = [put(dynamodb, table, "1") for _ in range(3)]

    assert answers == [THROTTLED, THROTTLED, ""]
    assert control.faults()["planned"] == []


def test_planned_faults_leave_other_tables_alone(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    dynamodb = local_aws.client("dynamodb")
    set_faults(control, planned=[{"kind": "conflict", "table": "another", "calls": 1}])

    assert transact(dynamodb, table) == []


def test_a_transaction_conflicts_and_leaves_nothing(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    dynamodb = local_aws.client("dynamodb")
    set_faults(control, conflict=1.0)

    assert transact(dynamodb, table) == ["TransactionConflict", "None"]

    set_faults(control, conflict=0)
    assert dynamodb.scan(TableName=table)["Count"] == 0
    assert transact(dynamodb, table) == []


def test_a_write_is_accepted_and_not_answered_while_others_are(
    local_aws: LocalAws, control: Control, table: str
) -> None:
    impatient = local_aws.client("dynamodb", read_timeout=1)
    dynamodb = local_aws.client("dynamodb", read_timeout=MEANWHILE)
    set_faults(control, planned=[{"kind": "silence", "table": table, "calls": 1}])

    with ThreadPoolExecutor(1) as pool:
        unanswered = pool.submit(put, impatient, table, "silent")
        eventually(lambda: control.faults()["planned"] == [])
        assert put(dynamodb, table, "other") == ""
        assert isinstance(unanswered.exception(), ReadTimeoutError)

    eventually(lambda: dynamodb.scan(TableName=table)["Count"] == 2)


def test_a_message_is_accepted_and_not_answered_while_others_are(
    local_aws: LocalAws, control: Control
) -> None:
    impatient = local_aws.client("sns", read_timeout=1)
    sns, sqs = local_aws.client("sns", read_timeout=MEANWHILE), local_aws.client("sqs")
    topic = sns.create_topic(Name=f"t-{uuid4().hex[:8]}")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"q-{uuid4().hex[:8]}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    set_faults(control, silent_publishes=1)

    with ThreadPoolExecutor(1) as pool:
        unanswered = pool.submit(impatient.publish, TopicArn=topic, Message="first")
        eventually(lambda: control.faults()["silent_publishes"] == 0)
        sns.publish(TopicArn=topic, Message="second")
        assert isinstance(unanswered.exception(), ReadTimeoutError)

    got: list[str] = []

    def both_came() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        got.extend(json.loads(one["Body"])["Message"] for one in answer.get("Messages", []))
        return len(got) >= 2

    eventually(both_came)
    assert sorted(got) == ["first", "second"]


@pytest.mark.parametrize("wanted", [{"slowness": 1}, {"planned": [{"kind": "fire", "calls": 1}]}])
def test_unknown_faults_are_refused(control: Control, wanted: dict[str, Any]) -> None:
    assert httpx.post(f"{control.url}/faults", json=wanted).status_code == 400
