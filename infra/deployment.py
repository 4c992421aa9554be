"""The deployment of a stack, and the names of its resources."""

from __future__ import annotations

import platform as host
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from desireline import contracts
from desireline.contracts import Function, Table
from infra.layers import Platform
from infra.settings import DeploymentSettings


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment: its settings and whether it is for the local cloud.

    local: no VPC, plaintext Kafka, host layers, no batching windows, a virtual clock.
    unbuilt_layers: use the layers' sources instead of the built layers, for tests of templates.
    """

    settings: DeploymentSettings
    local: bool = False
    unbuilt_layers: bool = False

    @property
    def name(self) -> str:
        return self.settings.deployment

    @property
    def platform(self) -> Platform:
        return Platform.HOST if self.local else Platform.ARM64

    @property
    def architecture(self) -> lambda_.Architecture:
        on_arm = host.machine() in {"arm64", "aarch64"}
        if self.local and not on_arm:
            return lambda_.Architecture.X86_64
        return lambda_.Architecture.ARM_64

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """Whether data is retained when its stack is deleted."""
        return cdk.RemovalPolicy.RETAIN if self.settings.retain_data else cdk.RemovalPolicy.DESTROY

    def named(self, *parts: str) -> str:
        """Build a physical name, such as 'desireline-dev-receive-webhook'."""
        return "-".join([self.name, *parts]).replace("_", "-").replace(".", "-")

    def parameter(self, *path: str) -> str:
        return contracts.parameter(self.name, *path)

    def function_arn(self, stack: cdk.Stack, function: Function) -> str:
        return stack.format_arn(
            service="lambda",
            resource="function",
            resource_name=self.named(function),
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def table_name(self, table: Table) -> str:
        return contracts.table_name(self.name, table)

    def table_arn(self, stack: cdk.Stack, table: Table) -> str:
        return stack.format_arn(
            service="dynamodb", resource="table", resource_name=self.table_name(table)
        )

    def bucket_name(self, purpose: str) -> str:
        """Build a bucket's name, with the account's number because bucket names are global."""
        return f"{self.named(purpose)}-{cdk.Aws.ACCOUNT_ID}"


class DeploymentStack(cdk.Stack):
    """Base of the stacks.

    Stacks share ARNs through SSM parameters, which CloudFormation resolves at deployment. So the
    local cloud can replace `network` and `streaming`, and no import of outputs locks a stack.
    """

    def __init__(
        self, scope: Construct, name: str, *, deployment: Deployment, **kwargs: Any
    ) -> None:
        super().__init__(
            scope,
            deployment.named(name),
            stack_name=deployment.named(name),
            env=cdk.Environment(region=deployment.settings.region),
            analytics_reporting=False,
            **kwargs,
        )
        self.deployment = deployment
        self._published: dict[tuple[str, ...], str] = {}
        cdk.Tags.of(self).add("desireline:deployment", deployment.name)

    def publish(self, *path: str, value: str) -> ssm.StringParameter:
        """Publish a parameter for other stacks."""
        self._published[path] = value
        name = self.deployment.parameter(*path)
        return ssm.StringParameter(
            self, f"Parameter{_identifier(*path)}", parameter_name=name, string_value=value
        )

    def publish_list(self, *path: str, values: list[str]) -> ssm.StringListParameter:
        """Publish a list for other stacks."""
        name = self.deployment.parameter(*path)
        return ssm.StringListParameter(
            self, f"Parameter{_identifier(*path)}", parameter_name=name, string_list_value=values
        )

    def learn(self, *path: str) -> str:
        """Return a parameter that this stack or another one published.

        Another stack's parameter is a token, which CloudFormation resolves before it creates any
        resource. So a stack cannot read its own parameters this way."""
        if path in self._published:
            return self._published[path]
        return ssm.StringParameter.value_for_string_parameter(
            self, self.deployment.parameter(*path)
        )

    def learn_list(self, *path: str) -> list[str]:
        """Return a list that another stack published, as a token."""
        return ssm.StringListParameter.value_for_typed_list_parameter(
            self, self.deployment.parameter(*path)
        )


def _identifier(*path: str) -> str:
    return "".join(part.title().replace("-", "").replace("_", "") for part in path)
