"""The state machine that waits for the due times of all playbooks."""

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
    """Return the machine's ARN by its name: the function that starts executions is made first."""
    return stack.format_arn(
        service="states",
        resource="stateMachine",
        resource_name=stack.deployment.named(STATE_MACHINE),
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def may_start(stack: DeploymentStack) -> iam.PolicyStatement:
    """Allow starting an execution."""
    return iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine_arn(stack)])


class PlaybookMachine(Construct):
    """The machine that checks and waits. Its log lists the entered states without their data: more
    people read a log than a table (delivery rule 15)."""

    def __init__(self, stack: DeploymentStack, *, check: PythonFunction) -> None:
        super().__init__(stack, "RunPlaybook")
        name = stack.deployment.named(STATE_MACHINE)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"Rights of {name}",
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
                "IAM5[Resource::*]": "Log delivery and X-Ray's segments belong to no resource that "
                "a statement could name",
            },
        )
