"""Archive: every topic as files, told to Snowpipe; and the bucket of dead letters."""

from __future__ import annotations

from datetime import timedelta

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from desireline.contracts import (
    CONSUMED_TOPICS,
    DEAD_LETTER_RETENTION,
    RAW_RETENTION,
    Function,
    Topic,
)
from infra.building_blocks.acknowledge import acknowledge
from infra.building_blocks.dead_letters import PURPOSE as DEAD_LETTERS
from infra.building_blocks.encrypted_bucket import AccessLogBucket, EncryptedBucket
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.kafka_event_source import KafkaEventSource
from infra.building_blocks.stack_key import StackKey, key_use
from infra.deployment import Deployment, DeploymentStack

ARCHIVE = "archive"
COLD_AFTER = cdk.Duration.days(30)


class ArchiveStack(DeploymentStack):
    """All topics -> archive_history -> S3 -> SNS -> Snowpipe."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "archive", deployment=deployment)
        self.key = StackKey(self, "archive", services=["s3.amazonaws.com"])
        self.access_logs = AccessLogBucket(self, self)
        self.dead_letters = self._dead_letters()
        self.bucket = self._archive()
        self.arrivals = self._arrivals()
        self.function = self._function()
        self._snowflake()
        self.publish("archive", "bucket", value=self.bucket.bucket_name)
        self.publish("archive", "dead-letters", value=self.dead_letters.bucket_name)
        cdk.CfnOutput(self, "ArrivalsTopic", value=self.arrivals.topic_arn)

    def _dead_letters(self) -> EncryptedBucket:
        return EncryptedBucket(
            self,
            DEAD_LETTERS,
            key=self.key,
            access_logs=self.access_logs,
            lifecycle=[s3.LifecycleRule(id="forget", expiration=_duration(DEAD_LETTER_RETENTION))],
        )

    def _archive(self) -> EncryptedBucket:
        return EncryptedBucket(
            self,
            ARCHIVE,
            key=self.key,
            access_logs=self.access_logs,
            lifecycle=[
                s3.LifecycleRule(
                    id="raw-bodies",
                    prefix=f"{Topic.WEBHOOKS_RAW}/",
                    expiration=_duration(RAW_RETENTION),
                ),
                s3.LifecycleRule(
                    id="cold",
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.INTELLIGENT_TIERING,
                            transition_after=COLD_AFTER,
                        )
                    ],
                ),
            ],
        )

    def _arrivals(self) -> sns.Topic:
        """The topic that Snowpipe subscribes to: no queue's address has to come back to us."""
        topic = sns.Topic(
            self,
            "Arrivals",
            topic_name=self.deployment.named("archive-arrivals"),
            master_key=self.key,
            enforce_ssl=True,
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": self._arn_by_name(ARCHIVE)},
                    "StringEquals": {"aws:SourceAccount": self.account},
                },
            )
        )
        user = self.deployment.settings.snowflake_user_arn
        if user is not None:
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ArnPrincipal(user)],
                    actions=["sns:Subscribe"],
                    resources=[topic.topic_arn],
                )
            )
        self._notify(topic)
        return topic

    def _notify(self, topic: sns.Topic) -> None:
        # The construct's own notification is a custom resource with a function and a managed
        # policy; the bucket's property needs neither, only that the topic's policy comes first.
        resource = self.bucket.node.default_child
        policy = topic.node.try_find_child("Policy")
        assert isinstance(resource, s3.CfnBucket)
        assert policy is not None
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            topic_configurations=[
                s3.CfnBucket.TopicConfigurationProperty(
                    event="s3:ObjectCreated:*", topic=topic.topic_arn
                )
            ]
        )
        resource.node.add_dependency(policy)

    def _function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            Function.ARCHIVE_HISTORY,
            description="Writes each batch of a topic as one file, at most once",
            environment={
                "DEPLOYMENT": self.deployment.name,
                "ARCHIVE_BUCKET": self.bucket.bucket_name,
            },
        )
        prefixes = [f"{topic}/*" for topic in CONSUMED_TOPICS[Function.ARCHIVE_HISTORY]]
        function.allow(
            iam.PolicyStatement(
                actions=["s3:PutObject"],
                resources=[f"{self._arn_by_name(ARCHIVE)}/{prefix}" for prefix in prefixes],
            ),
            key_use(self, self.key.key_arn, service="s3", write=True),
        )
        acknowledge(
            function.role,
            {
                f"IAM5[Resource::{self._pattern()}/{prefix}]": "Objects are named by date and "
                "offsets; the prefix is the topic's"
                for prefix in prefixes
            },
        )
        for topic in CONSUMED_TOPICS[Function.ARCHIVE_HISTORY]:
            KafkaEventSource(self, function, topic)
        return function

    def _snowflake(self) -> None:
        """The role of Snowflake's storage integration. It trusts this account until the
        integration exists and its user is known; the external id is ours from the start."""
        settings = self.deployment.settings
        role = iam.Role(
            self,
            "Snowflake",
            role_name=self.deployment.named("snowflake"),
            assumed_by=(
                iam.ArnPrincipal(settings.snowflake_user_arn)
                if settings.snowflake_user_arn
                else iam.AccountRootPrincipal()
            ),
            external_ids=[settings.snowflake_external_id],
            description="Snowflake's storage integration reads the archive",
        )
        arn = self._arn_by_name(ARCHIVE)
        for statement in (
            iam.PolicyStatement(actions=["s3:GetBucketLocation", "s3:ListBucket"], resources=[arn]),
            iam.PolicyStatement(
                actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[f"{arn}/*"]
            ),
            key_use(self, self.key.key_arn, service="s3"),
        ):
            role.add_to_principal_policy(statement)
        cdk.CfnOutput(self, "SnowflakeRole", value=role.role_arn)
        acknowledge(
            role,
            {
                f"IAM5[Resource::{self._pattern()}/*]": "Snowflake reads what was archived, "
                "whatever its key; nothing else is in the bucket",
            },
        )

    def _pattern(self) -> str:
        return f"arn:aws:s3:::{self.deployment.named(ARCHIVE)}-<AWS::AccountId>"

    def _arn_by_name(self, purpose: str) -> str:
        # By name: the bucket waits for the topic's policy, which must not wait for the bucket.
        return f"arn:{self.partition}:s3:::{self.deployment.bucket_name(purpose)}"


def _duration(days: timedelta) -> cdk.Duration:
    return cdk.Duration.days(days.days)
