"""Announce: the tables' streams, and the function that tells the rest of the system of them."""

from __future__ import annotations

from constructs import Construct

from desireline.contracts import Function, Topic
from desireline.intervene.channels import CHANNELS
from desireline.rows import ANNOUNCED_TABLES
from infra.building_blocks.channel_queue import queue_url, send_statements
from infra.building_blocks.function import PythonFunction
from infra.building_blocks.stream_event_source import StreamEventSource
from infra.deployment import Deployment, DeploymentStack
from infra.layers import Layer


class AnnounceStack(DeploymentStack):
    """identity, journeys, interventions, quarantine -> publish_changes -> topics and queues."""

    def __init__(self, scope: Construct, *, deployment: Deployment) -> None:
        super().__init__(scope, "announce", deployment=deployment)
        self.function = PythonFunction(
            self,
            Function.PUBLISH_CHANGES,
            description="Announces changed rows on topics, and fills the channels' queues",
            layers=[Layer.KAFKA],
            environment={
                "QUEUES": self.to_json_string(
                    {channel: queue_url(self, channel) for channel in sorted(CHANNELS)}
                ),
            },
            produces=[
                Topic.IDENTITY_CHANGED,
                Topic.JOURNEYS_SCORED,
                Topic.DECISIONS_MADE,
                Topic.EVENTS_QUARANTINED,
            ],
        )
        self.function.allow(*send_statements(self, sorted(CHANNELS)))
        for table in sorted(ANNOUNCED_TABLES):
            StreamEventSource(self, self.function, table)
