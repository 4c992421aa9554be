"""Kafka: the MSK cluster, and the topics as the contracts describe them."""

from __future__ import annotations

import base64

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_msk as msk
from aws_cdk import custom_resources as custom
from constructs import Construct

from desireline.contracts import MAX_MESSAGE_BYTES, TOPICS, Topic, TopicSpec
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.log_group import log_group
from infra.building_blocks.stack_key import StackKey
from infra.deployment import Deployment, DeploymentStack

BROKERS = 3


class StreamingStack(DeploymentStack):
    """Three brokers in three zones, IAM for every connection, TLS everywhere."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "streaming", deployment=deployment)
        self.key = StackKey(self, "streaming")
        self.cluster = self._cluster()
        self.topics = {topic: self._topic(topic, spec) for topic, spec in TOPICS.items()}
        self.publish("kafka", "cluster-arn", value=self.cluster.attr_arn)
        self._publish_bootstrap()

    def _cluster(self) -> msk.CfnCluster:
        settings = self.deployment.settings.kafka
        configuration = msk.CfnConfiguration(
            self,
            "Configuration",
            name=self.deployment.named("kafka"),
            kafka_versions_list=[settings.version],
            server_properties=server_properties(express=settings.is_express),
        )
        return msk.CfnCluster(
            self,
            "Cluster",
            cluster_name=self.deployment.name,
            kafka_version=settings.version,
            number_of_broker_nodes=BROKERS,
            broker_node_group_info=msk.CfnCluster.BrokerNodeGroupInfoProperty(
                instance_type=settings.broker_type,
                client_subnets=self.learn_list("network", "subnets"),
                security_groups=[self.learn("network", "brokers")],
                storage_info=_storage(settings.storage_gb),
            ),
            client_authentication=msk.CfnCluster.ClientAuthenticationProperty(
                sasl=msk.CfnCluster.SaslProperty(iam=msk.CfnCluster.IamProperty(enabled=True)),
                unauthenticated=msk.CfnCluster.UnauthenticatedProperty(enabled=False),
            ),
            configuration_info=msk.CfnCluster.ConfigurationInfoProperty(
                arn=configuration.attr_arn,
                revision=cdk.Token.as_number(configuration.get_att("LatestRevision.Revision")),
            ),
            encryption_info=msk.CfnCluster.EncryptionInfoProperty(
                encryption_at_rest=msk.CfnCluster.EncryptionAtRestProperty(
                    data_volume_kms_key_id=self.key.key_arn
                ),
                encryption_in_transit=msk.CfnCluster.EncryptionInTransitProperty(
                    client_broker="TLS", in_cluster=True
                ),
            ),
            enhanced_monitoring="PER_TOPIC_PER_BROKER",
            logging_info=self._logging(),
        )

    def _logging(self) -> msk.CfnCluster.LoggingInfoProperty:
        name = f"/aws/msk/{self.deployment.name}"
        group = log_group(self, "BrokerLogs", self.deployment.settings, name=name)
        return msk.CfnCluster.LoggingInfoProperty(
            broker_logs=msk.CfnCluster.BrokerLogsProperty(
                cloud_watch_logs=msk.CfnCluster.CloudWatchLogsProperty(
                    enabled=True, log_group=group.log_group_name
                )
            )
        )

    def _topic(self, topic: Topic, spec: TopicSpec) -> msk.CfnTopic:
        wide = self.deployment.settings.kafka.partitions == "prod"
        resource = msk.CfnTopic(
            self,
            f"Topic{topic.value.title().replace('.', '')}",
            cluster_arn=self.cluster.attr_arn,
            topic_name=topic.value,
            partition_count=spec.partitions_prod if wide else spec.partitions_dev,
            replication_factor=spec.replication,
            configs=base64.b64encode(topic_properties(spec).encode()).decode(),
        )
        resource.apply_removal_policy(self.deployment.removal)
        return resource

    def _publish_bootstrap(self) -> None:
        """The bootstrap address is no attribute of the cluster: ask for it when deploying."""
        name = self.deployment.parameter("kafka", "bootstrap")
        brokers = custom.AwsCustomResource(
            self,
            "BootstrapBrokers",
            resource_type="Custom::BootstrapBrokers",
            on_update=custom.AwsSdkCall(
                service="Kafka",
                action="GetBootstrapBrokers",
                parameters={"ClusterArn": self.cluster.attr_arn},
                output_paths=["BootstrapBrokerStringSaslIam"],
                physical_resource_id=custom.PhysicalResourceId.of(name),
            ),
            policy=custom.AwsCustomResourcePolicy.from_statements(
                [
                    iam.PolicyStatement(
                        actions=["kafka:GetBootstrapBrokers"], resources=[self.cluster.attr_arn]
                    )
                ]
            ),
            install_latest_aws_sdk=False,
            log_group=log_group(self, "BootstrapLogs", self.deployment.settings),
        )
        self.publish(
            "kafka", "bootstrap", value=brokers.get_response_field("BootstrapBrokerStringSaslIam")
        )
        self._acknowledge_singleton()

    def _acknowledge_singleton(self) -> None:
        for child in self.node.children:
            if child.node.id.startswith("AWS679f53fac002430cb0da5b7982bd2287"):
                acknowledge(
                    child,
                    {
                        "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
                        "AWSLambdaBasicExecutionRole]": "The CDK's own function for one call at "
                        "deployment; it has nothing but its log and GetBootstrapBrokers",
                    },
                )


def server_properties(*, express: bool) -> str:
    """The brokers' configuration. Express brokers fix replication by themselves."""
    lines = ["auto.create.topics.enable=false"]
    if not express:
        lines += [
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "unclean.leader.election.enable=false",
            "delete.topic.enable=true",
        ]
    return "\n".join(lines) + "\n"


def topic_properties(spec: TopicSpec) -> str:
    """A topic's configuration, as Java properties: size, retention, in-sync replicas."""
    return "\n".join(
        [
            "cleanup.policy=delete",
            f"max.message.bytes={MAX_MESSAGE_BYTES}",
            f"min.insync.replicas={spec.min_insync_replicas}",
            f"retention.ms={int(spec.retention.total_seconds() * 1000)}",
        ]
    )


def _storage(gigabytes: int | None) -> msk.CfnCluster.StorageInfoProperty | None:
    if gigabytes is None:
        return None
    return msk.CfnCluster.StorageInfoProperty(
        ebs_storage_info=msk.CfnCluster.EBSStorageInfoProperty(volume_size=gigabytes)
    )
