"""Build what commands share on a deployment: the mapping of raw webhooks, and redrive."""

from __future__ import annotations

from functools import cache

from desireline.adapters.clock import WallClock
from desireline.adapters.dead_letters import S3DeadLetters
from desireline.adapters.invoke import LambdaFunctions
from desireline.adapters.kafka_positions import KafkaPlaces
from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.ports import RawBodies
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders import load_senders
from desireline.receive.senders._topic import topic_senders
from desireline.receive.senders.sender import Sender
from desireline.recover.redrive.follow_up import FollowUp
from desireline.recover.redrive.redrive import Redrive
from desireline.resolve.counted_events import StoredCounts
from desireline_operate.deployment import Deployment

FUNCTION_SECONDS = 905.0
"""No function may run longer than 15 minutes."""


def senders() -> dict[str, Sender]:
    """Return all senders whose bodies may be among the raw webhooks: also the company's topics."""
    return {**load_senders(), **topic_senders(plan())}


@cache
def plan() -> TrackingPlan:
    """Return the tracking plan of this installation, which should be the deployed one."""
    return load_plan()


def mapper(deployment: Deployment, of: TrackingPlan | None = None) -> EventMapper:
    """Return the mapper with the deployment's secret and its current suppressions.

    of: another plan than the deployed one.
    """
    secret = deployment.secret("identity")
    return EventMapper.with_secret(of or plan(), secret, deployment.suppressions())


def raw_bodies(deployment: Deployment, *, archived: bool) -> RawBodies:
    """Return the raw webhooks, on their topic or in their archive."""
    if archived:
        return ArchivedRawBodies(deployment.client("s3"), deployment.parameter("archive", "bucket"))
    return KafkaRawBodies(deployment.bootstrap, deployment.auth, region=deployment.region)


class Redriving:
    """bucket: holds the dead letters. redrive: counts and sends. follow_up: waits for the end."""

    def __init__(self, deployment: Deployment) -> None:
        self.bucket = S3DeadLetters(
            deployment.client("s3"), deployment.parameter("archive", "dead-letters")
        )
        topics = KafkaPlaces(deployment.bootstrap, deployment.auth, region=deployment.region)
        counted = StoredCounts(deployment.store())
        suppressed = deployment.suppressions().current()
        client = deployment.client("lambda", attempts=1, read_timeout=FUNCTION_SECONDS)
        self.redrive = Redrive(
            bucket=self.bucket,
            topics=topics,
            functions=LambdaFunctions(client),
            counted=counted,
            wall=WallClock(),
            suppressed=lambda event: any(one.fragment in suppressed for one in event.aliases),
        )
        self.follow_up = FollowUp(
            bucket=self.bucket, topics=topics, counted=counted, deployment=deployment.name
        )
