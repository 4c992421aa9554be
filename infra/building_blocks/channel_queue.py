"""The queue of a channel, its dead-letter queue, and its event source mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from desireline.intervene.channels import ChannelSpec
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.stack_key import key_use
from infra.deployment import DeploymentStack

KEY_STACK = "intervene"
"""The stack of the queues, whose key encrypts them."""

LONGEST_KEPT = cdk.Duration.days(14)


def queue_name(channel: str) -> str:
    """Build the queue's name without the deployment. The dead letters' queue appends '-dead'."""
    return f"channel-{channel}".replace("_", "-")


def pascal_case(channel: str) -> str:
    """Build the part of construct ids that names the channel."""
    return channel.title().replace("_", "")


def queue_url(stack: DeploymentStack, channel: str) -> str:
    """Return the queue's address, as another stack published it."""
    return stack.learn("queues", channel)


def send_statements(
    stack: DeploymentStack, channels: Iterable[str]
) -> Iterator[iam.PolicyStatement]:
    """Make the statements that a function of another stack needs to send to these queues."""
    for channel in channels:
        name = stack.deployment.named(queue_name(channel))
        arn = stack.format_arn(service="sqs", resource=name)
        yield iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[arn])
    yield key_use(stack, stack.learn(KEY_STACK, "key"), service="sqs", write=True)


class ChannelQueue(Construct):
    """A queue. Messages that failed `queue_receives` times go to `dead`."""

    def __init__(
        self,
        stack: DeploymentStack,
        channel: ChannelSpec,
        *,
        key: kms.IKey,
        handled_in: cdk.Duration,
    ) -> None:
        super().__init__(stack, f"{pascal_case(channel.name)}Channel")
        self._stack = stack
        self._key = key
        settings = stack.deployment.settings.event_sources
        name = stack.deployment.named(queue_name(channel.name))
        self.dead = sqs.Queue(
            self,
            "Dead",
            queue_name=f"{name}-dead",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=LONGEST_KEPT,
            removal_policy=stack.deployment.removal,
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            visibility_timeout=cdk.Duration.seconds(
                settings.queue_visibility_timeouts * int(handled_in.to_seconds())
            ),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead, max_receive_count=settings.queue_receives
            ),
            removal_policy=stack.deployment.removal,
        )
        stack.publish("queues", channel.name, value=self.queue.queue_url)

    def deliver_to(self, function: PythonFunction) -> lambda_.CfnEventSourceMapping:
        """Let the function handle the messages, with partial batch responses."""
        settings = self._stack.deployment.settings
        function.allow(
            iam.PolicyStatement(
                actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
                resources=[self.queue.queue_arn],
            ),
            key_use(self._stack, self._key.key_arn, service="sqs"),
        )
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Mapping",
            function_name=function.lambda_function.function_name,
            event_source_arn=self.queue.queue_arn,
            batch_size=settings.event_sources.queue_batch_size,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                # The function's own concurrency: it would be throttled for more batches.
                maximum_concurrency=max(
                    2, settings.functions[function.function].reserved_concurrency or 2
                )
            ),
        )
        mapping.node.add_dependency(function.role)
        return mapping
