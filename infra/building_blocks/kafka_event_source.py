"""The event source mapping from a topic to a function, with the statements that it needs."""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from desireline.contracts import Function, Topic, consumer_group
from infra.building_blocks import kafka_access
from infra.building_blocks.dead_letters import dead_letter_destination
from infra.building_blocks.function import PythonFunction
from infra.deployment import DeploymentStack

METRICS = ("EventCount", "ErrorCount", "KafkaMetrics")


class KafkaEventSource(Construct):
    """The mapping of one topic to one function, with retries, bisection and dead letters.

    Bisection, partial responses and limits of retries work only with provisioned pollers, which all
    mappings of a poller group share. The consumer group is explicit and stable. So a replaced
    mapping continues at its predecessor's offsets, and only a new one starts at the oldest record
    (delivery rule 17).
    """

    def __init__(self, stack: DeploymentStack, function: PythonFunction, topic: Topic) -> None:
        super().__init__(stack, f"{function.node.id}From{topic.value.title().replace('.', '')}")
        settings = stack.deployment.settings.event_sources
        archiving = function.function is Function.ARCHIVE_HISTORY
        group = consumer_group(function.function, topic)
        function.allow(*kafka_access.consume(stack, topic=topic, group=group))
        if not stack.deployment.local:
            function.allow(
                iam.PolicyStatement(actions=list(kafka_access.POLLER_INTERFACES), resources=["*"])
            )
        self.event_source = lambda_.CfnEventSourceMapping(
            self,
            "Mapping",
            function_name=function.lambda_function.function_name,
            event_source_arn=kafka_access.cluster_arn(stack),
            topics=[topic.value],
            amazon_managed_kafka_event_source_config=(
                lambda_.CfnEventSourceMapping.AmazonManagedKafkaEventSourceConfigProperty(
                    consumer_group_id=group
                )
            ),
            starting_position="TRIM_HORIZON",
            batch_size=settings.archive_batch_size if archiving else settings.batch_size,
            maximum_batching_window_in_seconds=(
                settings.archive_window_seconds if archiving else settings.window_seconds
            ),
            **delivery(stack, function, poller_group=settings.poller_group),
        )
        # Lambda checks the role when it creates the mapping.
        self.event_source.node.add_dependency(function.role)
        stack.publish("event_sources", function.function, topic, value=self.event_source.attr_id)


def delivery(
    stack: DeploymentStack, function: PythonFunction, *, poller_group: str
) -> dict[str, Any]:
    """Return the settings of all Kafka mappings: retries, pollers and dead letters."""
    settings = stack.deployment.settings.event_sources
    return {
        "bisect_batch_on_function_error": True,
        "function_response_types": ["ReportBatchItemFailures"],
        "maximum_retry_attempts": settings.retries,
        "maximum_record_age_in_seconds": settings.record_age_seconds,
        "destination_config": dead_letter_destination(stack, function),
        "provisioned_poller_config": (
            lambda_.CfnEventSourceMapping.ProvisionedPollerConfigProperty(
                minimum_pollers=settings.minimum_pollers,
                maximum_pollers=settings.maximum_pollers,
                poller_group_name=stack.deployment.named(poller_group),
            )
        ),
        "metrics_config": lambda_.CfnEventSourceMapping.MetricsConfigProperty(
            metrics=list(METRICS)
        ),
    }
