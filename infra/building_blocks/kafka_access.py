"""Statements for MSK's data plane. CDK has no grant methods for `kafka-cluster`."""

from __future__ import annotations

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from desireline.contracts import READER_GROUP, Topic
from infra.deployment import DeploymentStack

POLLER_INTERFACES = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)


def environment(stack: DeploymentStack) -> dict[str, str]:
    """Return the variables with the brokers' addresses and authentication."""
    return {
        "KAFKA_BOOTSTRAP": stack.learn("kafka", "bootstrap"),
        "KAFKA_AUTH": "plaintext" if stack.deployment.local else "iam",
    }


def cluster_arn(stack: DeploymentStack) -> str:
    """Return the cluster's ARN, which `streaming` or the local cloud published."""
    return stack.learn("kafka", "cluster-arn")


def topic_arn(stack: DeploymentStack, topic: str, cluster: str | None = None) -> str:
    return _below_cluster(stack, "topic", topic, cluster)


def group_arn(stack: DeploymentStack, group: str, cluster: str | None = None) -> str:
    return _below_cluster(stack, "group", group, cluster)


def produce(stack: DeploymentStack, topics: Iterable[Topic]) -> list[iam.PolicyStatement]:
    """Make the statements of an idempotent producer to these topics."""
    return [
        iam.PolicyStatement(
            actions=["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"],
            resources=[cluster_arn(stack)],
        ),
        iam.PolicyStatement(
            actions=["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"],
            resources=[topic_arn(stack, topic) for topic in topics],
        ),
    ]


def read(stack: DeploymentStack, topic: Topic) -> list[iam.PolicyStatement]:
    """Make the statements of a reader that assigns partitions and commits no offsets. It needs its
    group's coordinator, but may not change offsets."""
    return [
        iam.PolicyStatement(
            actions=["kafka-cluster:Connect"],
            resources=[cluster_arn(stack)],
        ),
        iam.PolicyStatement(
            actions=["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            resources=[topic_arn(stack, topic)],
        ),
        iam.PolicyStatement(
            actions=["kafka-cluster:DescribeGroup"],
            resources=[group_arn(stack, READER_GROUP)],
        ),
    ]


def consume(
    stack: DeploymentStack, *, topic: str, group: str, cluster: str | None = None
) -> list[iam.PolicyStatement]:
    """Make the statements of an event source mapping's pollers, which use the function's role.

    cluster: the ARN of another cluster."""
    return [
        iam.PolicyStatement(
            actions=[
                "kafka-cluster:Connect",
                "kafka-cluster:DescribeClusterDynamicConfiguration",
                "kafka:DescribeClusterV2",
                "kafka:GetBootstrapBrokers",
            ],
            resources=[cluster or cluster_arn(stack)],
        ),
        iam.PolicyStatement(
            actions=["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            resources=[topic_arn(stack, topic, cluster)],
        ),
        iam.PolicyStatement(
            actions=["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"],
            resources=[group_arn(stack, group, cluster)],
        ),
    ]


def _below_cluster(stack: DeploymentStack, kind: str, name: str, cluster: str | None) -> str:
    # …:cluster/<name>/<uuid> has topics at …:topic/<name>/<uuid>/<topic>.
    parts = cluster.split("/") if cluster else cdk.Fn.split("/", cluster_arn(stack), 3)
    return stack.format_arn(
        service="kafka",
        resource=kind,
        resource_name=f"{parts[1]}/{parts[2]}/{name}",
    )
