"""Redriving on a target: the use cases with their real adapters."""

from __future__ import annotations

from desireline.adapters.clock import WallClock
from desireline.adapters.dead_letters import S3DeadLetters
from desireline.adapters.invoke import LambdaFunctions
from desireline.adapters.kafka_positions import KafkaPlaces
from desireline.recover.redrive.follow_up import SeeThrough
from desireline.recover.redrive.redrive import Redrive
from desireline.resolve.counted_events import StoredCounts
from desireline_local.target import Target

FUNCTION_SECONDS = 905.0
"""No function may run longer than 15 minutes."""


class Redriving:
    """bucket: where dead letters lie. redrive: counts and sends. see_through: waits for the end."""

    def __init__(self, target: Target) -> None:
        self.bucket = S3DeadLetters(
            target.client("s3"), target.parameter("archive", "dead-letters")
        )
        topics = KafkaPlaces(target.bootstrap, target.auth, region=target.region)
        counted = StoredCounts(target.store())
        suppressed = target.suppressed()
        client = target.client("lambda", attempts=1, read_timeout=FUNCTION_SECONDS)
        self.redrive = Redrive(
            bucket=self.bucket,
            topics=topics,
            functions=LambdaFunctions(client),
            counted=counted,
            wall=WallClock(),
            suppressed=lambda event: any(one.fragment in suppressed for one in event.aliases),
        )
        self.see_through = SeeThrough(
            bucket=self.bucket, topics=topics, counted=counted, deployment=target.deployment
        )
