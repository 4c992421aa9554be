"""The dead-letter bucket as the destination of event source mappings. Redrive reads it."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.stack_key import key_use
from infra.deployment import DeploymentStack

PURPOSE = "dead-letters"


def dead_letter_destination(
    stack: DeploymentStack, function: PythonFunction
) -> lambda_.CfnEventSourceMapping.DestinationConfigProperty:
    """Return the dead-letter bucket as a mapping's destination.

    Lambda writes there with the function's role, so this allows the role to write and to list."""
    arn = f"arn:{stack.partition}:s3:::{stack.deployment.bucket_name(PURPOSE)}"
    acknowledge(
        function.role,
        {
            f"IAM5[Resource::arn:aws:s3:::{stack.deployment.named(PURPOSE)}-<AWS::AccountId>"
            "/aws/lambda/*]": "Lambda names the objects by mapping, partition, offset and time",
        },
    )
    function.allow(
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[arn]),
        iam.PolicyStatement(actions=["s3:PutObject"], resources=[f"{arn}/aws/lambda/*"]),
        key_use(stack, stack.learn("archive", "key"), service="s3", write=True),
    )
    return lambda_.CfnEventSourceMapping.DestinationConfigProperty(
        on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=arn)
    )
