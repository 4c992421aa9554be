"""The generic state machine that waits for playbooks' due times."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from desireline.contracts import STATE_MACHINE
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.log_group import log_group
from infra.deployment import DeploymentStack

DEFINITION = Path(__file__).parents[1] / "workflows" / "run-playbook.asl.json"


def machine_arn(stack: DeploymentStack) -> str:
    """By name: functions that start and stop executions are made before the machine."""
    return stack.format_arn(
        service="states",
        resource="stateMachine",
        resource_name=stack.deployment.named(STATE_MACHINE),
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def may_start(stack: DeploymentStack) -> iam.PolicyStatement:
    """Start an execution."""
    return iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine_arn(stack)])


def may_stop(stack: DeploymentStack) -> iam.PolicyStatement:
    """Stop an execution by its name."""
    executions = stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{stack.deployment.named(STATE_MACHINE)}:*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return iam.PolicyStatement(actions=["states:StopExecution"], resources=[executions])


class PlaybookMachine(Construct):
    """Check and wait. Its log tells which states were entered, never with what data: inputs hold
    ids only, and yet a log is read by more people than a table (delivery rule 15)."""

    def __init__(self, stack: DeploymentStack, *, check: PythonFunction) -> None:
        super().__init__(stack, "RunPlaybook")
        name = stack.deployment.named(STATE_MACHINE)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"What {name} may do",
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[check.lambda_function.function_arn],
            )
        )
        self.machine = stepfunctions.StateMachine(
            self,
            "Machine",
            state_machine_name=name,
            state_machine_type=stepfunctions.StateMachineType.STANDARD,
            definition_body=stepfunctions.DefinitionBody.from_string(DEFINITION.read_text()),
            definition_substitutions={"CheckPlaybookArn": check.lambda_function.function_arn},
            role=role,
            tracing_enabled=True,
            logs=stepfunctions.LogOptions(
                destination=log_group(
                    self,
                    "Logs",
                    stack.deployment.settings,
                    # The prefix keeps the account's resource policy for log delivery short.
                    name=f"/aws/vendedlogs/states/{name}",
                ),
                include_execution_data=False,
                level=stepfunctions.LogLevel.ALL,
            ),
            removal_policy=stack.deployment.removal,
        )
        acknowledge(
            role,
            {
                "IAM5[Resource::*]": "Delivery of logs and X-Ray's segments belong to no resource "
                "that a statement could name",
            },
        )
