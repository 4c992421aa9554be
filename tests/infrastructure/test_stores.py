"""What holds data: encrypted, restorable, private, and forgotten when it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desireline.adapters.mixpanel import SECRET
from desireline.adapters.switches import SwitchBoard
from desireline.contracts import RAW_RETENTION, TTL_ATTRIBUTE, Table, Topic
from desireline.receive.senders import NAMES
from desireline.rows import ANNOUNCED_TABLES
from tests.infrastructure.assembly import ACCOUNT, Assembly

SWITCHES = {
    "send_mode": "record",
    "allowlist": [],
    "kill": {"all": False, "playbooks": [], "channels": []},
}
"""As it was first deployed, byte for byte: what has changed in a template CloudFormation writes
again, over the switches that somebody has turned since."""


def by(assembly: Assembly, kind: str, name: str) -> dict[str, Any]:
    return {r.properties[name]: r for r in assembly.of_type(kind)}


@pytest.mark.parametrize("table", Table)
def test_tables(dev: Assembly, table: Table) -> None:
    properties = by(dev, "AWS::DynamoDB::Table", "TableName")[f"desireline-dev-{table}"].properties
    keys = {key["AttributeName"]: key["KeyType"] for key in properties["KeySchema"]}
    types = {a["AttributeName"]: a["AttributeType"] for a in properties["AttributeDefinitions"]}
    assert keys == {"pk": "HASH", "sk": "RANGE"}
    assert types == {"pk": "S", "sk": "S"}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["SSESpecification"]["KMSMasterKeyId"]
    assert properties["TimeToLiveSpecification"] == {
        "AttributeName": TTL_ATTRIBUTE,
        "Enabled": True,
    }
    stream = properties.get("StreamSpecification")
    assert stream == (
        {"StreamViewType": "NEW_AND_OLD_IMAGES"} if table in ANNOUNCED_TABLES else None
    )


def test_in_prod_data_outlives_its_stack(dev: Assembly, prod: Assembly) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::MSK::Topic"):
        assert {r.deletion for r in prod.of_type(kind)} == {"Retain"}, kind
        assert {r.deletion for r in dev.of_type(kind)} == {"Delete"}, kind
    for table in prod.of_type("AWS::DynamoDB::Table"):
        assert table.properties["DeletionProtectionEnabled"] is True


def test_buckets_are_private_and_encrypted(dev: Assembly) -> None:
    buckets = dev.of_type("AWS::S3::Bucket")
    assert len(buckets) == 3
    for bucket in buckets:
        properties = bucket.properties
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        logs = "access-logs" in properties["BucketName"]
        algorithm = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        assert algorithm == ("AES256" if logs else "aws:kms")
        assert logs or properties["LoggingConfiguration"]["DestinationBucketName"]
        assert properties["LifecycleConfiguration"]["Rules"]


def test_buckets_queues_and_topics_are_used_over_tls_only(dev: Assembly) -> None:
    policies = {
        "AWS::S3::BucketPolicy": ("AWS::S3::Bucket", "Bucket"),
        "AWS::SQS::QueuePolicy": ("AWS::SQS::Queue", "Queues"),
        "AWS::SNS::TopicPolicy": ("AWS::SNS::Topic", "Topics"),
    }
    for policy_kind, (kind, target) in policies.items():
        held = set()
        for policy in dev.of_type(policy_kind):
            for statement in policy.properties["PolicyDocument"]["Statement"]:
                insecure = statement.get("Condition", {}).get("Bool", {})
                if statement["Effect"] == "Deny" and insecure.get("aws:SecureTransport") == "false":
                    targets = policy.properties[target]
                    held |= {targets} if isinstance(targets, str) else set(targets)
        assert {name.strip("<>") for name in held} == {r.name for r in dev.of_type(kind)}, kind


def test_queues_and_topics_are_encrypted_with_our_keys(dev: Assembly) -> None:
    for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
        for resource in dev.of_type(kind):
            assert resource.properties["KmsMasterKeyId"].startswith("<Key"), resource.name


def test_keys_are_rotated(dev: Assembly) -> None:
    keys = dev.of_type("AWS::KMS::Key")
    assert all(key.properties["EnableKeyRotation"] is True for key in keys)
    assert {key.stack for key in keys} == {
        "streaming",
        "receive",
        "tables",
        "intervene",
        "archive",
        "watch",
    }


def test_raw_bodies_are_forgotten_first(dev: Assembly) -> None:
    """They are the only place with clear addresses."""
    archive = by(dev, "AWS::S3::Bucket", "BucketName")[f"desireline-dev-archive-{ACCOUNT}"]
    rules = {rule["Id"]: rule for rule in archive.properties["LifecycleConfiguration"]["Rules"]}
    assert rules["raw-bodies"]["Prefix"] == f"{Topic.WEBHOOKS_RAW}/"
    assert rules["raw-bodies"]["ExpirationInDays"] == RAW_RETENTION.days == 30
    assert "ExpirationInDays" not in rules["cold"]


def test_what_arrives_in_the_archive_is_told_to_snowpipe(dev: Assembly) -> None:
    archive = by(dev, "AWS::S3::Bucket", "BucketName")[f"desireline-dev-archive-{ACCOUNT}"]
    topic = by(dev, "AWS::SNS::Topic", "TopicName")["desireline-dev-archive-arrivals"]
    assert archive.properties["NotificationConfiguration"] == {
        "TopicConfigurations": [{"Event": "s3:ObjectCreated:*", "Topic": f"<{topic.name}>"}]
    }
    (policy,) = (
        p
        for p in dev.of_type("AWS::SNS::TopicPolicy")
        if f"<{topic.name}>" in p.properties["Topics"]
    )
    publishers = [
        (s["Principal"], s["Condition"])
        for s in policy.properties["PolicyDocument"]["Statement"]
        if s["Effect"] == "Allow"
    ]
    assert publishers == [
        (
            {"Service": "s3.amazonaws.com"},
            {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::desireline-dev-archive-{ACCOUNT}"},
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
            },
        )
    ]
    dependencies = dev.templates["archive"]["Resources"][archive.name]["DependsOn"]
    assert policy.name in dependencies


def test_each_sender_has_a_secret_and_so_has_identity(dev: Assembly) -> None:
    secrets = by(dev, "AWS::SecretsManager::Secret", "Name")
    assert set(secrets) == {f"desireline-dev/{name}" for name in (*NAMES, "identity", SECRET)}
    for secret in secrets.values():
        key = secret.properties["KmsKeyId"]
        assert key.startswith("<Key") or key == "ssm:/desireline/desireline-dev/receive/key"
        assert "SecretString" not in secret.properties
        assert secret.properties["GenerateSecretString"]["PasswordLength"] >= 32
    for name in NAMES:
        generated = secrets[f"desireline-dev/{name}"].properties["GenerateSecretString"]
        assert set(":{}") <= set(generated["ExcludeCharacters"])


def test_sends_are_off_until_someone_turns_them_on(dev: Assembly, prod: Assembly) -> None:
    for assembly, name in ((dev, "desireline-dev"), (prod, "desireline")):
        parameters = by(assembly, "AWS::SSM::Parameter", "Name")
        value = parameters[f"/desireline/{name}/switches"].properties["Value"]
        assert SwitchBoard.model_validate_json(value) == SwitchBoard(send_mode="record")
        assert value == json.dumps(SWITCHES)
