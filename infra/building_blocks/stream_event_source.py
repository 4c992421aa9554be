"""The event source mapping from a table's stream to a function."""

from __future__ import annotations

import json

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from desireline.contracts import Table
from desireline.rows import ANNOUNCED_ROWS
from infra.building_blocks.dead_letters import dead_letter_destination
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.stack_key import key_use
from infra.building_blocks.table import KEY_STACK
from infra.deployment import DeploymentStack


class StreamEventSource(Construct):
    """The mapping of a table's stream to a function. Retries end before a record expires.

    The filter passes rows that are announced. A change of another row, and a removal, invokes
    nothing.
    """

    def __init__(self, stack: DeploymentStack, function: PythonFunction, table: Table) -> None:
        super().__init__(stack, f"{function.node.id}From{table.value.title()}")
        settings = stack.deployment.settings.event_sources
        stream = stack.learn("tables", table, "stream")
        failures = dead_letter_destination(stack, function)
        function.allow(
            iam.PolicyStatement(
                actions=[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                resources=[stream],
            ),
            iam.PolicyStatement(actions=["dynamodb:ListStreams"], resources=["*"]),
            key_use(stack, stack.learn(KEY_STACK, "key"), service="dynamodb"),
        )
        self.event_source = lambda_.CfnEventSourceMapping(
            self,
            "Mapping",
            function_name=function.lambda_function.function_name,
            event_source_arn=stream,
            starting_position="TRIM_HORIZON",
            batch_size=settings.stream_batch_size,
            maximum_batching_window_in_seconds=settings.stream_window_seconds,
            parallelization_factor=settings.stream_parallelization,
            bisect_batch_on_function_error=True,
            filter_criteria={"filters": [{"pattern": _pattern(table)}]},
            function_response_types=["ReportBatchItemFailures"],
            maximum_retry_attempts=settings.stream_retries,
            maximum_record_age_in_seconds=settings.stream_record_age_seconds,
            destination_config=failures,
            metrics_config=lambda_.CfnEventSourceMapping.MetricsConfigProperty(
                metrics=["EventCount"]
            ),
        )
        self.event_source.node.add_dependency(function.role)
        stack.publish("event_sources", function.function, table, value=self.event_source.attr_id)


def _pattern(table: Table) -> str:
    """Build the filter on the attribute `kind`, which names a row's type."""
    kinds = sorted(row.__name__ for row in ANNOUNCED_ROWS if row.table is table)
    return json.dumps({"dynamodb": {"NewImage": {"kind": {"S": kinds}}}})
