"""Event source mappings: what is tried how often, and where it goes when all was in vain."""

from __future__ import annotations

import json
from itertools import chain

import pytest

from desireline.contracts import (
    CONSUMED_TOPICS,
    Function,
    Table,
    consumer_group,
)
from desireline.intervene.channels import CHANNELS
from desireline.rows import ANNOUNCED_TABLES
from tests.infrastructure.assembly import ACCOUNT, Assembly, cluster_arn

DEAD_LETTERS = f"arn:aws:s3:::desireline-dev-dead-letters-{ACCOUNT}"
DAY = 86400


@pytest.mark.parametrize("function", list(CONSUMED_TOPICS))
def test_a_function_consumes_its_topics_each_in_a_group_of_its_own(
    dev: Assembly, function: Function
) -> None:
    found = {
        mapping["Topics"][0]: mapping["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"]
        for mapping in dev.mappings(function)
    }
    assert found == {topic: consumer_group(function, topic) for topic in CONSUMED_TOPICS[function]}
    assert all(len(mapping["Topics"]) == 1 for mapping in dev.mappings(function))


@pytest.mark.parametrize("function", list(CONSUMED_TOPICS))
def test_a_record_is_tried_again_bisected_and_at_last_put_aside(
    dev: Assembly, function: Function
) -> None:
    for mapping in dev.mappings(function):
        assert mapping["EventSourceArn"] == cluster_arn("desireline-dev")
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["MaximumRetryAttempts"] == 50
        assert mapping["MaximumRecordAgeInSeconds"] == 3 * DAY
        assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": DEAD_LETTERS}}
        assert set(mapping["MetricsConfig"]["Metrics"]) == {
            "EventCount",
            "ErrorCount",
            "KafkaMetrics",
        }


def test_all_share_the_pollers_of_one_group(dev: Assembly, prod: Assembly) -> None:
    """Without provisioned pollers retries, bisecting and partial responses do nothing."""
    for assembly, group in ((dev, "desireline-dev-shared"), (prod, "desireline-shared")):
        mappings = chain.from_iterable(assembly.mappings(f) for f in CONSUMED_TOPICS)
        pollers = [mapping["ProvisionedPollerConfig"] for mapping in mappings]
        assert len(pollers) == sum(map(len, CONSUMED_TOPICS.values()))
        assert {p["PollerGroupName"] for p in pollers} == {group}
        assert all(p["MinimumPollers"] >= 1 for p in pollers)


def test_no_two_mappings_share_a_group(dev: Assembly) -> None:
    groups = [
        mapping["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"]
        for function in CONSUMED_TOPICS
        for mapping in dev.mappings(function)
    ]
    assert len(set(groups)) == len(groups)


def test_streams_are_taken_up_again_until_just_before_they_forget(dev: Assembly) -> None:
    mappings = dev.mappings(Function.PUBLISH_CHANGES)
    assert len(mappings) == len(ANNOUNCED_TABLES)
    for mapping in mappings:
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert DAY / 2 < mapping["MaximumRecordAgeInSeconds"] < DAY
        assert mapping["MaximumRetryAttempts"] > 0
        assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": DEAD_LETTERS}}


def test_a_stream_invokes_for_announced_rows_only(dev: Assembly) -> None:
    passed = {}
    for mapping in dev.mappings(Function.PUBLISH_CHANGES):
        (one,) = mapping["FilterCriteria"]["Filters"]
        pattern = json.loads(one["Pattern"])
        table = mapping["EventSourceArn"].split("/")[-2]
        passed[table] = pattern["dynamodb"]["NewImage"]["kind"]["S"]
    assert passed == {
        Table.IDENTITY: ["AccountRow", "PersonRow", "SubjectRow"],
        Table.JOURNEYS: ["JourneyRow"],
        Table.INTERVENTIONS: ["ClaimRow", "DecisionRow"],
        Table.QUARANTINE: ["SetAsideRow"],
    }


def test_messages_of_a_channel_come_again_and_end_among_its_dead_letters(dev: Assembly) -> None:
    queues = {r.properties["QueueName"]: r for r in dev.of_type("AWS::SQS::Queue")}
    timeout = dev.functions()[Function.DELIVER_ACTION].properties["Timeout"]
    for channel in CHANNELS:
        name = f"desireline-dev-channel-{channel.replace('_', '-')}"
        queue, dead = queues.pop(name), queues.pop(f"{name}-dead")
        assert queue.properties["RedrivePolicy"] == {
            "deadLetterTargetArn": f"<{dead.name}.Arn>",
            "maxReceiveCount": 10,
        }
        assert queue.properties["VisibilityTimeout"] >= 6 * timeout
        assert dead.properties["MessageRetentionPeriod"] == 14 * DAY
    assert not queues


def test_a_message_is_delivered_by_the_function_a_partial_batch_at_a_time(dev: Assembly) -> None:
    mappings = dev.mappings(Function.DELIVER_ACTION)
    reserved = dev.functions()[Function.DELIVER_ACTION].properties["ReservedConcurrentExecutions"]
    assert len(mappings) == len(CHANNELS)
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] <= reserved


def test_nothing_else_calls_a_function_but_the_api_the_machine_and_the_clock(dev: Assembly) -> None:
    sourced = {f for f in Function if dev.mappings(f)}
    assert set(Function) - sourced == {
        Function.RECEIVE_WEBHOOK,
        Function.CHECK_PLAYBOOK,
        Function.PULL_EXPORTS,
        Function.SERVE_QUARANTINE,
    }
    principals = {p.properties["Principal"] for p in dev.of_type("AWS::Lambda::Permission")}
    assert sorted(principals) == ["apigateway.amazonaws.com", "events.amazonaws.com"]
