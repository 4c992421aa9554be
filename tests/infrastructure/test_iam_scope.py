"""Who may do what: every role, exactly. No local cloud proves Kafka's data plane, so this does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from desireline.contracts import (
    CONSUMED_TOPICS,
    READER_GROUP,
    Function,
    Table,
    Topic,
    consumer_group,
)
from desireline.rows import ANNOUNCED_TABLES
from infra.source_settings import EXAMPLE, TopicSource
from tests.infrastructure.assembly import (
    ACCOUNT,
    REGION,
    Assembly,
    allowed,
    cluster_arn,
    every_statement,
    group_arn,
    table_arn,
    topic_arn,
)

PRODUCED = {
    Function.RECEIVE_WEBHOOK: {
        Topic.WEBHOOKS_RAW,
        Topic.EVENTS_RECEIVED,
        Topic.EVENTS_QUARANTINED,
    },
    Function.RECEIVE_TOPIC: {
        Topic.WEBHOOKS_RAW,
        Topic.EVENTS_RECEIVED,
        Topic.EVENTS_QUARANTINED,
    },
    Function.RESOLVE_IDENTITY: {Topic.EVENTS_RESOLVED, Topic.EVENTS_QUARANTINED},
    Function.PUBLISH_CHANGES: {
        Topic.IDENTITY_CHANGED,
        Topic.JOURNEYS_SCORED,
        Topic.DECISIONS_MADE,
        Topic.EVENTS_QUARANTINED,
    },
    Function.SERVE_QUARANTINE: {
        Topic.EVENTS_RECEIVED,
        Topic.EVENTS_RESOLVED,
        Topic.IDENTITY_CHANGED,
        Topic.JOURNEYS_SCORED,
    },
}

READ = {Function.SERVE_QUARANTINE: {Topic.WEBHOOKS_RAW}}
"""Read by a client, not by a mapping: partitions are assigned, and nothing is committed."""

TOPIC_ACTIONS = (
    "AlterTopic",
    "AlterTopicDynamicConfiguration",
    "CreateTopic",
    "DeleteTopic",
    "DescribeTopic",
    "DescribeTopicDynamicConfiguration",
    "ReadData",
    "WriteData",
)
CLUSTER_ACTIONS = (
    "AlterCluster",
    "AlterClusterDynamicConfiguration",
    "AlterTransactionalId",
    "Connect",
    "DescribeCluster",
    "DescribeClusterDynamicConfiguration",
    "WriteDataIdempotently",
)
GROUP_ACTIONS = ("AlterGroup", "DeleteGroup", "DescribeGroup")

GET, BATCH, QUERY, PUT, CHECK = (
    f"dynamodb:{name}"
    for name in ("GetItem", "BatchGetItem", "Query", "PutItem", "ConditionCheckItem")
)
ROWS = {
    Function.RECEIVE_WEBHOOK: {
        Table.IDENTITY: {GET},
        Table.ADMISSION: {GET, QUERY, PUT},
    },
    Function.RESOLVE_IDENTITY: {
        Table.IDENTITY: {BATCH, PUT, CHECK},
        Table.STATES: {GET, BATCH, PUT},
    },
    Function.SCORE_JOURNEY: {
        Table.IDENTITY: {GET, BATCH},
        Table.STATES: {GET, BATCH},
        Table.JOURNEYS: {GET, BATCH, PUT},
        Table.QUARANTINE: {PUT},
    },
    Function.START_INTERVENTIONS: {
        Table.IDENTITY: {GET, PUT, CHECK},
        Table.INTERVENTIONS: {GET, BATCH, PUT},
        Table.QUARANTINE: {PUT},
    },
    Function.CHECK_PLAYBOOK: {
        Table.IDENTITY: {GET, BATCH, PUT, CHECK},
        Table.STATES: {GET, BATCH, QUERY},
        Table.INTERVENTIONS: {GET, BATCH, QUERY, PUT},
        Table.ADMISSION: {BATCH},
    },
    Function.DELIVER_ACTION: {
        Table.INTERVENTIONS: {GET, PUT, CHECK},
        Table.ADMISSION: {BATCH},
    },
    Function.RECEIVE_TOPIC: {Table.ADMISSION: {QUERY}},
    Function.PULL_EXPORTS: {Table.SOURCES: {GET, PUT}},
    Function.INDEX_QUARANTINE: {Table.QUARANTINE: {GET, BATCH, QUERY, PUT}},
    Function.SERVE_QUARANTINE: {
        Table.QUARANTINE: {GET, BATCH, QUERY, PUT},
        Table.ADMISSION: {QUERY},
    },
}
"""What the use cases do with rows; everything that is not here is denied."""

ROW_ACTIONS = {
    GET, BATCH, QUERY, PUT, CHECK,
    "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:Scan",
    "dynamodb:UpdateItem", "dynamodb:UpdateTable", "dynamodb:PartiQLSelect",
}  # fmt: skip

WITHOUT_RESOURCES = {
    "dynamodb:ListStreams": "a stream cannot be named here",
    "ec2:AssignPrivateIpAddresses": "interfaces that do not exist yet",
    "ec2:CreateNetworkInterface": "",
    "ec2:DeleteNetworkInterface": "",
    "ec2:DescribeNetworkInterfaces": "",
    "ec2:DescribeSecurityGroups": "",
    "ec2:DescribeSubnets": "",
    "ec2:DescribeVpcs": "",
    "ec2:UnassignPrivateIpAddresses": "",
    "logs:CreateLogDelivery": "delivery of the machine's log",
    "logs:DeleteLogDelivery": "",
    "logs:DescribeLogGroups": "",
    "logs:DescribeResourcePolicies": "",
    "logs:GetLogDelivery": "",
    "logs:ListLogDeliveries": "",
    "logs:PutResourcePolicy": "",
    "logs:UpdateLogDelivery": "",
    "xray:GetSamplingRules": "segments belong to no resource",
    "xray:GetSamplingTargets": "",
    "xray:PutTelemetryRecords": "",
    "xray:PutTraceSegments": "",
}
"""Actions that IAM cannot scope to a resource; nothing else may be allowed everywhere."""


def sources(function: Function) -> Sequence[TopicSource]:
    """The company's topics that a function reads."""
    return EXAMPLE.topics if function is Function.RECEIVE_TOPIC else ()


@pytest.mark.parametrize("function", Function)
def test_topics(dev: Assembly, function: Function) -> None:
    statements = dev.statements(function)
    produced = PRODUCED.get(function, set())
    consumed = {*CONSUMED_TOPICS.get(function, ()), *(one.topic for one in sources(function))}
    consumed |= READ.get(function, set())
    theirs = [source.topic for source in EXAMPLE.topics]
    for topic, action in product([*Topic, *theirs, "another.topic"], TOPIC_ACTIONS):
        expected = (
            (action == "WriteData" and topic in produced)
            or (action == "ReadData" and topic in consumed)
            or (action == "DescribeTopic" and topic in produced | consumed)
        )
        arn = topic_arn("desireline-dev", topic)
        assert allowed(statements, f"kafka-cluster:{action}", arn) is expected, (topic, action)


@pytest.mark.parametrize("function", Function)
def test_groups(dev: Assembly, function: Function) -> None:
    statements = dev.statements(function)
    own = {consumer_group(function, topic) for topic in CONSUMED_TOPICS.get(function, ())}
    own |= {source.consumer_group for source in sources(function)}
    everyones = {
        consumer_group(f, topic) for f, topics in CONSUMED_TOPICS.items() for topic in topics
    }
    everyones |= {source.consumer_group for source in EXAMPLE.topics}
    for group, action in product(everyones | {READER_GROUP, "anything.else"}, GROUP_ACTIONS):
        reads = group == READER_GROUP and function in READ and action == "DescribeGroup"
        expected = (group in own and action != "DeleteGroup") or reads
        arn = group_arn("desireline-dev", group)
        assert allowed(statements, f"kafka-cluster:{action}", arn) is expected, (group, action)


@pytest.mark.parametrize("function", Function)
def test_cluster(dev: Assembly, function: Function) -> None:
    statements = dev.statements(function)
    produces = function in PRODUCED
    consumes = function in CONSUMED_TOPICS or bool(sources(function))
    granted = {
        action
        for action in CLUSTER_ACTIONS
        if allowed(statements, f"kafka-cluster:{action}", cluster_arn("desireline-dev"))
    }
    expected = set()
    if produces:
        expected |= {"Connect", "WriteDataIdempotently"}
    if consumes:
        expected |= {"Connect", "DescribeClusterDynamicConfiguration"}
    assert granted == expected


@pytest.mark.parametrize("function", Function)
def test_rows(dev: Assembly, function: Function) -> None:
    statements = dev.statements(function)
    for table in Table:
        arn = table_arn("desireline-dev", table)
        granted = {action for action in ROW_ACTIONS if allowed(statements, action, arn)}
        assert granted == ROWS.get(function, {}).get(table, set()), table


@pytest.mark.parametrize(
    ("function", "table", "action", "partitions"),
    [
        (Function.RECEIVE_WEBHOOK, Table.IDENTITY, GET, ["A#*", "P#*"]),
        (Function.RECEIVE_WEBHOOK, Table.ADMISSION, QUERY, ["XE#*"]),
        (Function.RECEIVE_WEBHOOK, Table.ADMISSION, GET, ["T#*", "X#*"]),
        (Function.RECEIVE_WEBHOOK, Table.ADMISSION, PUT, ["T#*", "X#*", "XE#*"]),
        (Function.SERVE_QUARANTINE, Table.ADMISSION, QUERY, ["XE#*"]),
        (Function.INDEX_QUARANTINE, Table.QUARANTINE, PUT, ["G#*", "L#*", "Q#*"]),
        (Function.SERVE_QUARANTINE, Table.QUARANTINE, PUT, ["G#*", "L#*", "Q#*"]),
        (Function.RECEIVE_TOPIC, Table.ADMISSION, QUERY, ["XE#*"]),
        (Function.SCORE_JOURNEY, Table.QUARANTINE, PUT, ["R#*"]),
        (Function.START_INTERVENTIONS, Table.IDENTITY, PUT, ["J#*"]),
        (Function.CHECK_PLAYBOOK, Table.IDENTITY, PUT, ["J#*"]),
        (Function.START_INTERVENTIONS, Table.INTERVENTIONS, GET, ["D#*", "E#*", "K#*"]),
        (Function.START_INTERVENTIONS, Table.INTERVENTIONS, PUT, ["D#*", "E#*", "K#*"]),
        (Function.START_INTERVENTIONS, Table.QUARANTINE, PUT, ["R#*"]),
        (Function.CHECK_PLAYBOOK, Table.INTERVENTIONS, BATCH, ["D#*", "E#*", "K#*", "L#*"]),
        (Function.CHECK_PLAYBOOK, Table.ADMISSION, BATCH, ["X#*"]),
        (Function.CHECK_PLAYBOOK, Table.INTERVENTIONS, PUT, ["D#*", "E#*", "K#*", "L#*"]),
        (Function.DELIVER_ACTION, Table.INTERVENTIONS, PUT, ["D#*", "E#*", "L#*"]),
        (Function.DELIVER_ACTION, Table.ADMISSION, BATCH, ["X#*"]),
    ],
)
def test_a_function_reaches_only_the_partitions_of_its_rows(
    dev: Assembly, function: Function, table: Table, action: str, partitions: list[str]
) -> None:
    arn = table_arn("desireline-dev", table)
    granting = [s for s in dev.statements(function) if s.covers(action, arn)]
    keys = [
        key
        for statement in granting
        for key in statement.conditions["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    ]
    assert sorted(keys) == partitions


def test_streams_are_read_by_the_announcer_only(dev: Assembly) -> None:
    read = {
        function: {
            resource
            for statement in dev.statements(function)
            if "dynamodb:GetRecords" in statement.actions
            for resource in statement.resources
        }
        for function in Function
    }
    assert read.pop(Function.PUBLISH_CHANGES) == {
        f"ssm:/desireline/desireline-dev/tables/{table}/stream" for table in ANNOUNCED_TABLES
    }
    assert not any(read.values())


def test_who_may_send_publish_start_and_read_secrets(dev: Assembly) -> None:
    holders: dict[str, set[Function]] = {}
    for function in Function:
        for statement in dev.statements(function):
            for action in statement.actions:
                if statement.effect == "Allow":
                    holders.setdefault(action, set()).add(function)
    assert holders["sns:Publish"] == {Function.DELIVER_ACTION}
    assert holders["sqs:SendMessage"] == {Function.PUBLISH_CHANGES}
    assert holders["sqs:ReceiveMessage"] == {Function.DELIVER_ACTION}
    assert holders["states:StartExecution"] == {Function.START_INTERVENTIONS}
    assert holders["secretsmanager:GetSecretValue"] == {
        Function.RECEIVE_WEBHOOK,
        Function.RECEIVE_TOPIC,
        Function.PULL_EXPORTS,
        Function.SERVE_QUARANTINE,
    }
    assert holders["ssm:GetParameter"] == {Function.CHECK_PLAYBOOK, Function.DELIVER_ACTION}
    assert "ssm:PutParameter" not in holders
    assert holders["s3:GetObject"] == {Function.SERVE_QUARANTINE}
    assert "s3:DeleteObject" not in holders


def test_mappings_put_dead_letters_and_cannot_read_or_remove_them(dev: Assembly) -> None:
    bucket = f"arn:aws:s3:::desireline-dev-dead-letters-{ACCOUNT}"
    mapped = {*CONSUMED_TOPICS, Function.PUBLISH_CHANGES, Function.RECEIVE_TOPIC}
    for function in Function:
        statements = dev.statements(function)
        key = f"{bucket}/aws/lambda/1b9d-mapping/events.received/0/1/2026-01-01"
        assert allowed(statements, "s3:PutObject", key) is (function in mapped), function
        for action in ("s3:GetObject", "s3:DeleteObject", "s3:PutBucketPolicy"):
            assert not allowed(statements, action, key), function
            assert not allowed(statements, action, bucket), function


def test_the_archive_is_written_below_the_topics_and_nowhere_else(dev: Assembly) -> None:
    archive = f"arn:aws:s3:::desireline-dev-archive-{ACCOUNT}"
    for function in Function:
        statements = dev.statements(function)
        writes = function is Function.ARCHIVE_HISTORY
        for topic in Topic:
            key = f"{archive}/{topic}/v1/2026/01/01/00/file.ndjson.gz"
            assert allowed(statements, "s3:PutObject", key) is writes
        assert not allowed(statements, "s3:PutObject", f"{archive}/elsewhere/file")


def test_of_the_archive_raw_bodies_are_read_and_nothing_else_and_of_secrets_the_identity(
    dev: Assembly,
) -> None:
    archive = f"arn:aws:s3:::desireline-dev-archive-{ACCOUNT}"
    statements = dev.statements(Function.SERVE_QUARANTINE)
    for topic in Topic:
        key = f"{archive}/{topic}/v1/2026/01/01/00/file.ndjson.gz"
        assert allowed(statements, "s3:GetObject", key) is (topic is Topic.WEBHOOKS_RAW)
    (listing,) = (one for one in statements if "s3:ListBucket" in one.actions)
    assert listing.conditions == {"StringLike": {"s3:prefix": ["webhooks.raw/*"]}}
    (secret,) = (one for one in statements if "secretsmanager:GetSecretValue" in one.actions)
    assert secret.resources == ("ssm:/desireline/desireline-dev/receive/identity",)


def test_no_action_is_a_pattern(dev: Assembly, prod: Assembly) -> None:
    for assembly in (dev, prod):
        wide = {
            (policy, action)
            for policy, statement in every_statement(assembly)
            for action in statement.actions
            if "*" in action
        }
        assert wide == set()


def test_only_what_has_no_resource_is_allowed_everywhere(dev: Assembly) -> None:
    everywhere = {
        action
        for _, statement in every_statement(dev)
        if statement.effect == "Allow" and "*" in statement.resources
        for action in statement.actions
    }
    assert everywhere <= set(WITHOUT_RESOURCES), everywhere - set(WITHOUT_RESOURCES)


def test_functions_have_one_role_each_and_no_managed_policy(dev: Assembly) -> None:
    roles = [f.properties["Role"] for f in dev.functions().values()]
    assert len(set(roles)) == len(Function)
    names = {role.removeprefix("<").removesuffix(".Arn>") for role in roles}
    for role in dev.of_type("AWS::IAM::Role"):
        if role.name in names:
            assert "ManagedPolicyArns" not in role.properties


def test_code_in_the_vpc_cannot_use_the_rights_by_which_it_is_attached(dev: Assembly) -> None:
    for function in PRODUCED:
        denials = [s for s in dev.statements(function) if s.effect == "Deny"]
        name = f"desireline-dev-{function.replace('_', '-')}"
        assert [d.conditions for d in denials] == [
            {
                "ArnEquals": {
                    "lambda:SourceFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
                }
            }
        ]
        assert "ec2:CreateNetworkInterface" in denials[0].actions


def test_the_state_machine_may_call_its_one_function(dev: Assembly) -> None:
    (machine,) = dev.of_type("AWS::StepFunctions::StateMachine")
    role = machine.properties["RoleArn"].removeprefix("<").removesuffix(".Arn>")
    called = {
        resource
        for statement in dev.statements_of_role(role)
        if any(action.startswith("lambda:") for action in statement.actions)
        for resource in statement.resources
    }
    assert called == {f"<{dev.functions()[Function.CHECK_PLAYBOOK].name}.Arn>"}


def test_keys_are_used_by_way_of_one_service(dev: Assembly) -> None:
    for function in Function:
        for statement in dev.statements(function):
            if any(action.startswith("kms:") for action in statement.actions):
                assert "kms:ViaService" in statement.conditions["StringEquals"], function
                assert "*" not in statement.resources
