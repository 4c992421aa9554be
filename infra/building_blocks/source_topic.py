"""The event source mapping from one of the company's own topics to receive_topic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.building_blocks import kafka_access
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import delivery
from infra.building_blocks.stack_key import key_use
from infra.deployment import DeploymentStack
from infra.source_settings import OtherMsk, SelfManaged, TopicSource

_EventSource = lambda_.CfnEventSourceMapping


class TopicMapping(Construct):
    """The mapping of one source: our cluster, another MSK cluster, or any with TLS and SASL.

    Mappings of our cluster share a poller group. Another cluster has its own poller group, because
    a poller group works within one network.
    """

    def __init__(
        self, stack: DeploymentStack, function: PythonFunction, source: TopicSource
    ) -> None:
        super().__init__(stack, f"From{source.source.title().replace('_', '')}")
        settings = stack.deployment.settings.event_sources
        own = source.cluster == "own"
        group = settings.poller_group if own else f"source-{source.source}"
        if isinstance(source.cluster, SelfManaged):
            location = self._self_managed(stack, function, source, source.cluster)
        else:
            location = self._msk(stack, function, source)
        if not stack.deployment.local:
            function.allow(
                iam.PolicyStatement(actions=list(kafka_access.POLLER_INTERFACES), resources=["*"])
            )
        self.event_source = _EventSource(
            self,
            "Mapping",
            function_name=function.lambda_function.function_name,
            topics=[source.topic],
            batch_size=source.batch_size,
            maximum_batching_window_in_seconds=settings.window_seconds,
            **location,
            **_position(source),
            **delivery(stack, function, poller_group=group),
        )
        self.event_source.node.add_dependency(function.role)
        stack.publish(
            "event_sources", function.function, source.source, value=self.event_source.attr_id
        )

    def _msk(
        self, stack: DeploymentStack, function: PythonFunction, source: TopicSource
    ) -> dict[str, Any]:
        cluster = source.cluster.arn if isinstance(source.cluster, OtherMsk) else None
        group = source.consumer_group
        function.allow(
            *kafka_access.consume(stack, topic=source.topic, group=group, cluster=cluster)
        )
        return {
            "event_source_arn": cluster or kafka_access.cluster_arn(stack),
            "amazon_managed_kafka_event_source_config": (
                _EventSource.AmazonManagedKafkaEventSourceConfigProperty(consumer_group_id=group)
            ),
        }

    def _self_managed(
        self,
        stack: DeploymentStack,
        function: PythonFunction,
        source: TopicSource,
        cluster: SelfManaged,
    ) -> dict[str, Any]:
        secrets = [one for one in (cluster.secret, cluster.authority) if one]
        function.allow(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=secrets)
        )
        if cluster.secret_key:
            function.allow(key_use(stack, cluster.secret_key, service="secretsmanager"))
        access: list[tuple[str, str]] = [(cluster.auth, cluster.secret)]
        if cluster.authority:
            access.append(("SERVER_ROOT_CA_CERTIFICATE", cluster.authority))
        access += [("VPC_SUBNET", f"subnet:{one}") for one in cluster.subnets]
        access += [
            ("VPC_SECURITY_GROUP", f"security_group:{one}") for one in cluster.security_groups
        ]
        return {
            "self_managed_event_source": _EventSource.SelfManagedEventSourceProperty(
                endpoints=_EventSource.EndpointsProperty(kafka_bootstrap_servers=[*cluster.brokers])
            ),
            "self_managed_kafka_event_source_config": (
                _EventSource.SelfManagedKafkaEventSourceConfigProperty(
                    consumer_group_id=source.consumer_group
                )
            ),
            "source_access_configurations": [
                _EventSource.SourceAccessConfigurationProperty(type=kind, uri=uri)
                for kind, uri in access
            ],
        }


def _position(source: TopicSource) -> dict[str, Any]:
    position = source.starting_position
    if not isinstance(position, datetime):
        return {"starting_position": position}
    moment = position if position.tzinfo else position.replace(tzinfo=UTC)
    return {
        "starting_position": "AT_TIMESTAMP",
        "starting_position_timestamp": moment.timestamp(),
    }
