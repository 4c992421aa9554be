"""The KMS key of a stage: one for what the stage owns, so that grants stay within it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from infra.deployment import DeploymentStack

READ = ("kms:Decrypt", "kms:DescribeKey")
WRITE = ("kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")


class StackKey(kms.Key):
    """A rotated key, whose ARN other stacks learn from the parameter `<stage>/key`.

    services: AWS services that must encrypt with it by themselves, to publish to a topic, say.
    """

    def __init__(self, stack: DeploymentStack, stage: str, *, services: Sequence[str] = ()) -> None:
        super().__init__(
            stack,
            "Key",
            alias=f"alias/{stack.deployment.named(stage)}",
            description=f"What the stage {stage} of {stack.deployment.name} stores",
            enable_key_rotation=True,
            removal_policy=stack.deployment.removal,
        )
        for service in services:
            self.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(service)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
                )
            )
        stack.publish(stage, "key", value=self.key_arn)


def key_use(
    stack: DeploymentStack, key_arn: str, *, service: str, write: bool = False
) -> iam.PolicyStatement:
    """Use of a key by way of one service only: 'dynamodb', 's3', 'sqs', 'sns', 'secretsmanager'."""
    return iam.PolicyStatement(
        actions=[*READ, *(WRITE if write else ())],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{stack.region}.amazonaws.com"}},
    )
