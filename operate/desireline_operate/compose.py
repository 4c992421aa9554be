"""Build the objects that commands share: the mapper of raw webhooks, and redrive."""

from __future__ import annotations

from functools import cache

from desireline.adapters.clock import WallClock
from desireline.adapters.compose import all_senders
from desireline.adapters.dead_letters import S3DeadLetters
from desireline.adapters.invoke import LambdaFunctions
from desireline.adapters.kafka_positions import KafkaPositions
from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.contracts import IDENTITY_SECRET
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.ports import RawBodies
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders.sender import Sender
from desireline.recover.redrive.follow_up import FollowUp
from desireline.recover.redrive.redrive import Redrive
from desireline.resolve.counted_events import StoredCounts
from desireline_operate.deployment import Deployment

FUNCTION_SECONDS = 905.0
"""Lambda ends a function after 15 minutes; the client waits 5 seconds longer."""


def senders() -> dict[str, Sender]:
    """Return all senders of raw webhooks, the company's Kafka topics included."""
    return all_senders(plan())


@cache
def plan() -> TrackingPlan:
    """Return the tracking plan of this installation. It should equal the deployed plan."""
    return load_plan()


def mapper(deployment: Deployment) -> EventMapper:
    """Return the mapper with the deployment's secret and its current suppressions."""
    secret = deployment.secret(IDENTITY_SECRET)
    return EventMapper.with_secret(plan(), secret, deployment.suppressions())


def raw_bodies(deployment: Deployment, *, archived: bool) -> RawBodies:
    """Return the reader of raw webhooks: of the archive, or of the Kafka topic."""
    if archived:
        return ArchivedRawBodies(deployment.client("s3"), deployment.parameter("archive", "bucket"))
    return KafkaRawBodies(deployment.bootstrap, deployment.auth, region=deployment.region)


class Redriving:
    """The objects of a redrive. bucket: holds the dead letters. redrive: counts and sends them.
    follow_up: waits for the outcome."""

    def __init__(self, deployment: Deployment) -> None:
        self.bucket = S3DeadLetters(
            deployment.client("s3"), deployment.parameter("archive", "dead-letters")
        )
        topics = KafkaPositions(deployment.bootstrap, deployment.auth, region=deployment.region)
        counted = StoredCounts(deployment.store())
        suppressed = deployment.suppressions().current()
        client = deployment.client("lambda", attempts=1, read_timeout=FUNCTION_SECONDS)
        self.redrive = Redrive(
            bucket=self.bucket,
            topics=topics,
            functions=LambdaFunctions(client),
            counted=counted,
            wall=WallClock(),
            suppressed=lambda event: any(alias.fragment in suppressed for alias in event.aliases),
        )
        self.follow_up = FollowUp(
            bucket=self.bucket, topics=topics, counted=counted, deployment=deployment.name
        )
