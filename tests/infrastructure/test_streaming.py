"""Kafka and the network: topics as the contracts say, TLS and IAM, three zones, no way out."""

from __future__ import annotations

import base64

import pytest

from desireline.adapters.kafka import SETTINGS
from desireline.contracts import MAX_MESSAGE_BYTES, TOPICS, Topic
from infra.stacks.streaming import server_properties
from tests.infrastructure.assembly import Assembly

ONLY_FROM_EXPRESS_ITSELF = {"min.insync.replicas", "default.replication.factor"}


def properties_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split())


@pytest.mark.parametrize("topic", Topic)
def test_topics_are_what_the_contracts_promise(dev: Assembly, prod: Assembly, topic: Topic) -> None:
    spec = TOPICS[topic]
    for assembly, partitions in ((dev, spec.partitions_dev), (prod, spec.partitions_prod)):
        (found,) = (
            r.properties
            for r in assembly.of_type("AWS::MSK::Topic")
            if r.properties["TopicName"] == topic
        )
        assert found["PartitionCount"] == partitions
        assert found["ReplicationFactor"] == spec.replication == 3
        configured = properties_of(base64.b64decode(found["Configs"]).decode())
        assert configured["min.insync.replicas"] == "2" == str(spec.min_insync_replicas)
        assert int(configured["retention.ms"]) == spec.retention.total_seconds() * 1000
        assert int(configured["max.message.bytes"]) == MAX_MESSAGE_BYTES


def test_there_are_no_other_topics(dev: Assembly) -> None:
    assert {r.properties["TopicName"] for r in dev.of_type("AWS::MSK::Topic")} == set(Topic)


def test_producers_send_no_more_than_topics_take() -> None:
    assert SETTINGS["message.max.bytes"] <= MAX_MESSAGE_BYTES


def test_nobody_makes_a_topic_by_writing_to_it() -> None:
    for express in (True, False):
        assert (
            properties_of(server_properties(express=express))["auto.create.topics.enable"]
            == "false"
        )
    assert not ONLY_FROM_EXPRESS_ITSELF & set(properties_of(server_properties(express=True)))
    assert properties_of(server_properties(express=False))["min.insync.replicas"] == "2"


def test_the_cluster(dev: Assembly, prod: Assembly) -> None:
    for assembly in (dev, prod):
        (cluster,) = (r.properties for r in assembly.of_type("AWS::MSK::Cluster"))
        assert cluster["NumberOfBrokerNodes"] == 3
        assert cluster["ClientAuthentication"] == {
            "Sasl": {"Iam": {"Enabled": True}},
            "Unauthenticated": {"Enabled": False},
        }
        assert cluster["EncryptionInfo"]["EncryptionInTransit"] == {
            "ClientBroker": "TLS",
            "InCluster": True,
        }
        assert cluster["EncryptionInfo"]["EncryptionAtRest"]["DataVolumeKMSKeyId"]
        assert cluster["ConfigurationInfo"]["Arn"].startswith("<Configuration")
        assert cluster["LoggingInfo"]["BrokerLogs"]["CloudWatchLogs"]["Enabled"] is True


def test_the_bootstrap_address_is_told_to_all(dev: Assembly) -> None:
    (custom,) = dev.of_type("Custom::BootstrapBrokers")
    told = {r.properties["Name"]: r.properties["Value"] for r in dev.of_type("AWS::SSM::Parameter")}
    assert told["/desireline/desireline-dev/kafka/bootstrap"] == (
        f"<{custom.name}.BootstrapBrokerStringSaslIam>"
    )


def test_only_streaming_runs_code_at_deployment(dev: Assembly) -> None:
    named = {f.name for f in dev.functions().values()}
    others = [r for r in dev.of_type("AWS::Lambda::Function") if r.name not in named]
    assert [r.stack for r in others] == ["streaming"]


def test_three_zones_and_no_way_out(dev: Assembly) -> None:
    zones = {r.properties["AvailabilityZone"] for r in dev.of_type("AWS::EC2::Subnet")}
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}
    kinds = {r.type for r in dev.resources}
    assert not kinds & {"AWS::EC2::NatGateway", "AWS::EC2::InternetGateway", "AWS::EC2::EIP"}
    assert not any(r.properties["MapPublicIpOnLaunch"] for r in dev.of_type("AWS::EC2::Subnet"))


def test_what_is_inside_reaches_aws_by_endpoints(dev: Assembly) -> None:
    endpoints = {
        r.properties["ServiceName"].rpartition(".")[2]: r.properties["VpcEndpointType"]
        for r in dev.of_type("AWS::EC2::VPCEndpoint")
    }
    assert endpoints == {
        "s3": "Gateway",
        "dynamodb": "Gateway",
        "lambda": "Interface",
        "sts": "Interface",
        "secretsmanager": "Interface",
        "sqs": "Interface",
    }


def test_nobody_comes_in_from_an_address(dev: Assembly) -> None:
    for group in dev.of_type("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group.properties
    rules = dev.of_type("AWS::EC2::SecurityGroupIngress")
    assert rules
    for rule in rules:
        assert rule.properties["SourceSecurityGroupId"]
        assert rule.properties["FromPort"] == rule.properties["ToPort"]
        assert rule.properties["FromPort"] in {443, 9098}
