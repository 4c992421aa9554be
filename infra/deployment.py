"""What a stack must know of the deployment that it belongs to, and how things in it are named."""

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

    local: no VPC, plaintext Kafka, host layers, no batching windows, a clock that is driven.
    unbuilt_layers: let their sources stand for the layers, for templates that are only read.
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
        """What becomes of data when its stack goes."""
        return cdk.RemovalPolicy.RETAIN if self.settings.retain_data else cdk.RemovalPolicy.DESTROY

    def named(self, *parts: str) -> str:
        """A physical name: 'desireline-dev-receive-webhook'."""
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
        """Bucket names are global, hence the account's number."""
        return f"{self.named(purpose)}-{cdk.Aws.ACCOUNT_ID}"


class DeploymentStack(cdk.Stack):
    """Base of the stacks: one for each stage of the pipeline, tied together by parameters.

    Stacks tell one another ARNs through SSM parameters, resolved at deployment. So `network` and
    `streaming` can be left out where the local cloud stands in for them, and no stack is locked
    by another's import of its outputs.
    """

    def __init__(
        self, scope: Construct, stage: str, *, deployment: Deployment, **kwargs: Any
    ) -> None:
        super().__init__(
            scope,
            deployment.named(stage),
            stack_name=deployment.named(stage),
            env=cdk.Environment(region=deployment.settings.region),
            analytics_reporting=False,
            **kwargs,
        )
        self.deployment = deployment
        self._published: dict[tuple[str, ...], str] = {}
        cdk.Tags.of(self).add("desireline:deployment", deployment.name)

    def publish(self, *path: str, value: str) -> ssm.StringParameter:
        """Write a parameter for other stacks to read."""
        self._published[path] = value
        name = self.deployment.parameter(*path)
        return ssm.StringParameter(
            self, f"Parameter{_identifier(*path)}", parameter_name=name, string_value=value
        )

    def publish_list(self, *path: str, values: list[str]) -> ssm.StringListParameter:
        """Write a list for other stacks to read."""
        name = self.deployment.parameter(*path)
        return ssm.StringListParameter(
            self, f"Parameter{_identifier(*path)}", parameter_name=name, string_list_value=values
        )

    def learn(self, *path: str) -> str:
        """What this stack or another one published; the latter as a token that CloudFormation
        resolves before it makes anything, so that a stack cannot learn its own so."""
        if path in self._published:
            return self._published[path]
        return ssm.StringParameter.value_for_string_parameter(
            self, self.deployment.parameter(*path)
        )

    def learn_list(self, *path: str) -> list[str]:
        """A list that another stack published, as a token."""
        return ssm.StringListParameter.value_for_typed_list_parameter(
            self, self.deployment.parameter(*path)
        )


def _identifier(*path: str) -> str:
    return "".join(part.title().replace("-", "").replace("_", "") for part in path)
