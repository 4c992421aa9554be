"""Statements for MSK's data plane, written by hand: no grant method knows `kafka-cluster`."""

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
    """How a function finds the brokers."""
    return {
        "KAFKA_BOOTSTRAP": stack.learn("kafka", "bootstrap"),
        "KAFKA_AUTH": "plaintext" if stack.deployment.local else "iam",
    }


def cluster_arn(stack: DeploymentStack) -> str:
    """The cluster, by the parameter that `streaming` or the local cloud wrote."""
    return stack.learn("kafka", "cluster-arn")


def topic_arn(stack: DeploymentStack, topic: str, cluster: str | None = None) -> str:
    return _below_cluster(stack, "topic", topic, cluster)


def group_arn(stack: DeploymentStack, group: str, cluster: str | None = None) -> str:
    return _below_cluster(stack, "group", group, cluster)


def produce(stack: DeploymentStack, topics: Iterable[Topic]) -> list[iam.PolicyStatement]:
    """What an idempotent producer to these topics needs."""
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
    """What a reader needs that assigns partitions and commits nothing: it looks for its group's
    coordinator, and may not change what a group stands at."""
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
    """What the pollers of an event source mapping do with the function's role.

    cluster: its ARN, if it is not ours."""
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
