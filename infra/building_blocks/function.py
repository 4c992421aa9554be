"""A Lambda function with the settings that all functions share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from desireline.contracts import METRICS_NAMESPACE, Function, Topic
from infra.building_blocks import kafka_access
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.layer_versions import RUNTIME, LayerVersions
from infra.building_blocks.log_group import log_group
from infra.deployment import DeploymentStack
from infra.layers import Layer

FUNCTIONS = Path(__file__).parents[2] / "functions"

_IN_VPC = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


class PythonFunction(Construct):
    """One folder under `functions/` as a Lambda function with its own role.

    layers: in addition to base and desireline. environment: the variables of its settings.
    produces: the topics that it writes; such a function is in the VPC, gets the brokers' addresses,
    and may write only these topics.
    driven: whether it reads journey time, which the local cloud drives.
    """

    def __init__(
        self,
        stack: DeploymentStack,
        function: Function,
        *,
        description: str,
        environment: Mapping[str, str],
        layers: Iterable[Layer] = (),
        produces: Iterable[Topic] = (),
        driven: bool = False,
    ) -> None:
        super().__init__(stack, "".join(part.title() for part in function.split("_")))
        self._stack = stack
        self.function = function
        self.log_group = self._log_group()
        self.role = self._role()
        topics = tuple(produces)
        variables = {
            **environment,
            **(kafka_access.environment(stack) if topics else {}),
            **({"CLOCK_URL": stack.learn("clock", "url")} if driven and self._local else {}),
        }
        self.lambda_function = self._function(description, variables, layers)
        if topics:
            self.allow(*kafka_access.produce(stack, topics))
            self._enter_vpc()

    @property
    def timeout(self) -> cdk.Duration:
        settings = self._stack.deployment.settings.functions[self.function]
        return cdk.Duration.seconds(settings.timeout_seconds)

    def allow(self, *statements: iam.PolicyStatement) -> None:
        """Add statements to the function's role."""
        for statement in statements:
            self.role.add_to_principal_policy(statement)

    @property
    def _local(self) -> bool:
        return self._stack.deployment.local

    def _log_group(self) -> logs.LogGroup:
        deployment = self._stack.deployment
        name = f"/aws/lambda/{deployment.named(self.function)}"
        return log_group(self, "Logs", deployment.settings, name=name)

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Rights of {self._stack.deployment.named(self.function)}",
        )
        self.log_group.grant_write(role)
        acknowledge(
            role,
            {
                "IAM5[Resource::*]": "X-Ray's segments and Lambda's own network interfaces "
                "belong to no resource that a statement could name",
            },
        )
        return role

    def _function(
        self, description: str, environment: Mapping[str, str], layers: Iterable[Layer]
    ) -> lambda_.Function:
        deployment = self._stack.deployment
        settings = deployment.settings.functions[self.function]
        versions = layer_versions(self._stack)
        function = lambda_.Function(
            self,
            "Function",
            function_name=deployment.named(self.function),
            description=description,
            runtime=RUNTIME,
            architecture=deployment.architecture,
            handler=f"{self.function}.handler.handle",
            code=_code(self.function),
            layers=[versions.get(layer) for layer in (Layer.BASE, Layer.DESIRELINE, *layers)],
            environment={**_powertools(self.function, local=self._local), **environment},
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            tracing=lambda_.Tracing.ACTIVE,
            memory_size=settings.memory_mb,
            timeout=self.timeout,
            reserved_concurrent_executions=settings.reserved_concurrency,
        )
        acknowledge(
            function,
            {
                "L1": "Python 3.13 is the newest version for which all locked packages have "
                "wheels and on which the tests run",
            },
        )
        return function

    def _enter_vpc(self) -> None:
        if self._local:
            return
        resource = self.lambda_function.node.default_child
        assert isinstance(resource, lambda_.CfnFunction)
        resource.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=self._stack.learn_list("network", "subnets"),
            security_group_ids=[self._stack.learn("network", "clients")],
        )
        own = self._stack.deployment.function_arn(self._stack, self.function)
        self.allow(
            iam.PolicyStatement(actions=list(_IN_VPC), resources=["*"]),
            # Lambda needs these to attach the function; the function's own code does not.
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=list(_IN_VPC),
                resources=["*"],
                conditions={"ArnEquals": {"lambda:SourceFunctionArn": own}},
            ),
        )


def layer_versions(stack: DeploymentStack) -> LayerVersions:
    """Return the stack's layers, created by the first call."""
    existing = stack.node.try_find_child("Layers")
    if isinstance(existing, LayerVersions):
        return existing
    return LayerVersions(stack, deployment=stack.deployment)


def _code(function: Function) -> lambda_.Code:
    """Return the import root `functions/` with only this function's folder."""
    return lambda_.Code.from_asset(
        str(FUNCTIONS),
        exclude=["/*", f"!/{function}", "__pycache__", "*.pyc", ".*_cache"],
        ignore_mode=cdk.IgnoreMode.GIT,
    )


def _powertools(function: Function, *, local: bool) -> dict[str, str]:
    """What Powertools reads by itself; no settings class names these."""
    return {
        "POWERTOOLS_SERVICE_NAME": function,
        "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
        "LOG_LEVEL": "INFO",
        # There is no X-Ray daemon on a laptop.
        **({"POWERTOOLS_TRACE_DISABLED": "true"} if local else {}),
    }
