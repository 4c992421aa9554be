"""Sources are made as cdk.json asks, and not at all where it asks for none."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from pydantic import ValidationError

from desireline.contracts import Function
from infra.app import compose, deployment_from
from infra.settings import context, deployment_settings
from infra.source_settings import EXAMPLE, MixpanelExport, Sources, TopicSource
from tests.infrastructure.assembly import (
    ACCOUNT,
    REGION,
    Assembly,
    allowed,
    cluster_arn,
)

TOPIC = {"source": "company_events", "topic": "company.events"}
OTHER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/company/11112222-3333-4444-5555-666677778888-9"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:kafka-AbCdEf"
AUTHORITY = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ca-AbCdEf"
SELF_MANAGED = {
    "brokers": ["kafka-1.example.com:9096", "kafka-2.example.com:9096"],
    "auth": "SASL_SCRAM_512_AUTH",
    "secret": SECRET,
    "authority": AUTHORITY,
    "subnets": ["subnet-1"],
    "security_groups": ["sg-1"],
}
EXPORT = {"project": "1234", "first_day": "2026-01-01"}


def with_sources(folder: Path, **sources: Any) -> Assembly:
    """A deployment with these sources, made in this process: quicker than the application."""
    stages = copy.deepcopy(context()["stages"])
    stages["dev"]["sources"] = {"topics": [], "mixpanel_export": None, **sources}
    app = cdk.App(
        context={**context(), "stages": stages}, outdir=str(folder), analytics_reporting=False
    )
    compose(app, deployment_from(app, unbuilt_layers=True))
    app.synth()
    return Assembly(folder, "desireline-dev")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Two topics on other clusters, and no export."""
    topics = [
        {**TOPIC, "cluster": {"arn": OTHER}, "group": "desireline", "starting_position": "LATEST"},
        {
            "source": "second_topic",
            "topic": "orders",
            "cluster": SELF_MANAGED,
            "starting_position": "2026-03-01T00:00:00Z",
            "batch_size": 50,
        },
    ]
    with pytest.MonkeyPatch.context() as patch:
        known = {"company_events": object(), "second_topic": object()}
        patch.setattr("infra.source_settings.topic_senders", lambda _: known)
        return with_sources(tmp_path_factory.mktemp("synth") / "elsewhere", topics=topics)


def test_without_sources_there_is_neither_function_nor_mapping(bare: Assembly) -> None:
    assert "sources" not in bare.templates
    assert set(bare.functions()) == set(Function) - {Function.RECEIVE_TOPIC, Function.PULL_EXPORTS}
    assert not bare.of_type("AWS::Events::Rule")
    written = json.dumps([*bare.templates.values()])
    assert "receive-topic" not in written
    assert "pull-exports" not in written


def test_a_topic_of_our_cluster_is_read_as_our_own_are(dev: Assembly) -> None:
    [mapping] = dev.mappings(Function.RECEIVE_TOPIC)
    like = dev.mappings(Function.RESOLVE_IDENTITY)[0]
    theirs = {"Topics", "FunctionName", "AmazonManagedKafkaEventSourceConfig"}
    assert {k: v for k, v in mapping.items() if k not in theirs} == {
        k: v for k, v in like.items() if k not in theirs
    }
    assert mapping["Topics"] == ["company.events"]
    assert mapping["AmazonManagedKafkaEventSourceConfig"] == {
        "ConsumerGroupId": "receive-topic.company.events"
    }
    variables = dev.functions()[Function.RECEIVE_TOPIC].properties["Environment"]["Variables"]
    assert json.loads(variables["TOPICS"]) == {"company.events": "company_events"}


def test_a_topic_of_another_cluster_is_read_there_and_nowhere_else(elsewhere: Assembly) -> None:
    mappings = {m["Topics"][0]: m for m in elsewhere.mappings(Function.RECEIVE_TOPIC)}
    mapping = mappings["company.events"]
    assert mapping["EventSourceArn"] == OTHER
    assert mapping["AmazonManagedKafkaEventSourceConfig"] == {"ConsumerGroupId": "desireline"}
    assert mapping["StartingPosition"] == "LATEST"
    pollers = mapping["ProvisionedPollerConfig"]
    assert pollers["PollerGroupName"] == "desireline-dev-source-company-events"
    statements = elsewhere.statements(Function.RECEIVE_TOPIC)
    there = OTHER.replace(":cluster/", ":topic/")
    assert allowed(statements, "kafka-cluster:ReadData", f"{there}/company.events")
    assert not allowed(statements, "kafka-cluster:WriteData", f"{there}/company.events")
    assert not allowed(statements, "kafka-cluster:ReadData", f"{there}/orders")
    ours = cluster_arn("desireline-dev").replace(":cluster/", ":topic/")
    assert not allowed(statements, "kafka-cluster:ReadData", f"{ours}/company.events")


def test_a_cluster_that_is_not_msk_is_read_with_its_secret(elsewhere: Assembly) -> None:
    mappings = {m["Topics"][0]: m for m in elsewhere.mappings(Function.RECEIVE_TOPIC)}
    mapping = mappings["orders"]
    assert "EventSourceArn" not in mapping
    assert mapping["SelfManagedEventSource"] == {
        "Endpoints": {"KafkaBootstrapServers": SELF_MANAGED["brokers"]}
    }
    assert [(one["Type"], one["URI"]) for one in mapping["SourceAccessConfigurations"]] == [
        ("SASL_SCRAM_512_AUTH", SECRET),
        ("SERVER_ROOT_CA_CERTIFICATE", AUTHORITY),
        ("VPC_SUBNET", "subnet:subnet-1"),
        ("VPC_SECURITY_GROUP", "security_group:sg-1"),
    ]
    assert mapping["SelfManagedKafkaEventSourceConfig"] == {
        "ConsumerGroupId": "receive-topic.orders"
    }
    assert mapping["StartingPosition"] == "AT_TIMESTAMP"
    assert mapping["StartingPositionTimestamp"] == datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert mapping["BatchSize"] == 50
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"].startswith("arn:aws:s3:::")
    read = {
        resource
        for statement in elsewhere.statements(Function.RECEIVE_TOPIC)
        if "secretsmanager:GetSecretValue" in statement.actions
        for resource in statement.resources
    }
    assert read == {SECRET, AUTHORITY, "ssm:/desireline/desireline-dev/secrets/identity"}


def test_with_topics_alone_nothing_is_pulled(elsewhere: Assembly) -> None:
    assert Function.PULL_EXPORTS not in elsewhere.functions()
    assert not elsewhere.of_type("AWS::Events::Rule")


def test_the_clock_calls_the_puller_and_nobody_repeats_it(dev: Assembly) -> None:
    function = dev.functions()[Function.PULL_EXPORTS]
    [rule] = dev.of_type("AWS::Events::Rule")
    assert rule.properties["ScheduleExpression"] == "rate(1 hour)"
    assert rule.properties["State"] == "ENABLED"
    [target] = rule.properties["Targets"]
    assert target["Arn"] == f"<{function.name}.Arn>"
    assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    [config] = dev.of_type("AWS::Lambda::EventInvokeConfig")
    assert config.properties["FunctionName"] == f"<{function.name}>"
    assert config.properties["MaximumRetryAttempts"] == 0
    [permission] = [
        p
        for p in dev.of_type("AWS::Lambda::Permission")
        if p.properties["Principal"] == "events.amazonaws.com"
    ]
    assert permission.properties["SourceArn"] == f"<{rule.name}.Arn>"


def test_the_puller_is_outside_the_vpc_and_one_at_a_time(dev: Assembly, prod: Assembly) -> None:
    for assembly in (dev, prod):
        properties = assembly.functions()[Function.PULL_EXPORTS].properties
        assert "VpcConfig" not in properties
        assert properties["ReservedConcurrentExecutions"] == 1
        interval = EXAMPLE.mixpanel_export.interval_minutes if EXAMPLE.mixpanel_export else 0
        assert properties["Timeout"] < interval * 60


def test_the_puller_reads_two_secrets_and_reaches_no_topic(dev: Assembly) -> None:
    statements = dev.statements(Function.PULL_EXPORTS)
    read = {
        resource
        for statement in statements
        if "secretsmanager:GetSecretValue" in statement.actions
        for resource in statement.resources
    }
    [account] = [r for r in dev.of_type("AWS::SecretsManager::Secret") if r.stack == "sources"]
    assert account.properties["Name"] == "desireline-dev/mixpanel_service_account"
    signing = "ssm:/desireline/desireline-dev/secrets/mixpanel_export"
    assert read == {signing, f"<{account.name}>"}
    actions = {action for statement in statements for action in statement.actions}
    assert not {one for one in actions if one.startswith("kafka")}


def test_it_is_told_mixpanels_server_and_our_address(dev: Assembly) -> None:
    variables = dev.functions()[Function.PULL_EXPORTS].properties["Environment"]["Variables"]
    told = json.loads(variables["MIXPANEL_EXPORT"])
    assert told["url"] == "https://data.mixpanel.com"
    assert told["time_zone"] == "UTC"
    assert variables["WEBHOOKS_URL"] == "ssm:/desireline/desireline-dev/receive/url"


@pytest.mark.parametrize(
    ("residency", "server"), [("us", "data"), ("eu", "data-eu"), ("in", "data-in")]
)
def test_data_stays_where_it_resides(residency: Any, server: str) -> None:
    export = MixpanelExport.model_validate({**EXPORT, "residency": residency})
    assert export.url == f"https://{server}.mixpanel.com"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"topic": "events.received"}, "a topic of Desireline"),
        ({"topic": "events.received", "cluster": {"arn": OTHER}}, "a topic of Desireline"),
        ({"source": "segment"}, "a sender of webhooks"),
        ({"source": "nobody_knows"}, "tracking_plan/senders/nobody_knows.yaml"),
        ({"cluster": {"arn": "arn:aws:s3:::bucket"}}, "arn"),
        ({"cluster": {**SELF_MANAGED, "security_groups": []}}, "go together"),
        ({"cluster": {**SELF_MANAGED, "brokers": []}}, "brokers"),
        ({"starting_position": "yesterday"}, "starting_position"),
        ({"topic": "a topic"}, "topic"),
    ],
)
def test_a_topic_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TopicSource.model_validate({**TOPIC, **change})


def test_a_topic_belongs_to_one_source() -> None:
    with pytest.raises(ValidationError, match="two sources have the same source"):
        Sources.model_validate({"topics": [TOPIC, {**TOPIC, "topic": "other"}]})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"time_zone": "Mars/Olympus"}, "unknown time zone"),
        ({"project": "acme"}, "project"),
        ({"interval_minutes": 5}, "interval_minutes"),
        ({"interval_minutes": 15, "requests": 20}, "60 requests an hour"),
        ({"window_days": 10, "requests": 11}, "no run could pull its window"),
        ({"residency": "mars"}, "residency"),
    ],
)
def test_an_export_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MixpanelExport.model_validate({**EXPORT, **change})


def test_what_is_pulled_needs_its_sender() -> None:
    stages = copy.deepcopy(context()["stages"])
    stages["dev"] |= {"sources": {"mixpanel_export": EXPORT}, "senders": ["segment"]}
    with pytest.raises(ValidationError, match="needs the sender mixpanel_export"):
        deployment_settings(stages, "dev")


def test_examples_replace_no_sources_of_ones_own() -> None:
    stages = copy.deepcopy(context()["stages"])
    stages["dev"]["sources"] = {"topics": [{**TOPIC, "group": "mine"}]}
    settings = deployment_settings(stages, "dev")
    assert settings.with_example_sources() is settings
