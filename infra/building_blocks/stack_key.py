"""The KMS key of a stack. Each stack has its own key, so that rights do not span stacks."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from infra.deployment import DeploymentStack

READ = ("kms:Decrypt", "kms:DescribeKey")
WRITE = ("kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")


class StackKey(kms.Key):
    """A rotated key. The parameter `<name>/key` publishes its ARN to other stacks.

    services: AWS services that encrypt with the key themselves, for example to publish to a topic.
    """

    def __init__(self, stack: DeploymentStack, name: str, *, services: Sequence[str] = ()) -> None:
        super().__init__(
            stack,
            "Key",
            alias=f"alias/{stack.deployment.named(name)}",
            description=f"Data of the stack {stack.deployment.named(name)}",
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
        stack.publish(name, "key", value=self.key_arn)


def key_use(
    stack: DeploymentStack, key_arn: str, *, service: str, write: bool = False
) -> iam.PolicyStatement:
    """Allow use of a key by one service: 'dynamodb', 's3', 'sqs', 'sns', 'secretsmanager'."""
    return iam.PolicyStatement(
        actions=[*READ, *(WRITE if write else ())],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"{service}.{stack.region}.amazonaws.com"}},
    )
