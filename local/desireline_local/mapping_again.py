"""What maps raw webhooks again, on the local cloud or on AWS: for replay and for quarantine."""

from __future__ import annotations

from functools import cache

from desireline.adapters.clock import WallClock
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.contracts import Table, Topic
from desireline.identity.aliases import Fragments
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.ports import RawBodies
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import MapWebhook
from desireline.receive.senders import known
from desireline.receive.senders._topic import topic_senders
from desireline.receive.senders.sender import Sender
from desireline_local.backends import NoMetrics
from desireline_local.target import Target


def senders() -> dict[str, Sender]:
    """All whose bodies may lie among the raw webhooks: also the company's topics."""
    return {**known(), **topic_senders(plan())}


@cache
def plan() -> TrackingPlan:
    """The tracking plan as it is deployed, if what runs here is."""
    return load_plan()


def fragments(target: Target) -> Fragments:
    """The namer of fragments, with the deployment's secret."""
    return Fragments(target.secret("identity"))


def mapping(target: Target, of: TrackingPlan | None = None) -> MapWebhook:
    """The mapping step, with the deployment's secret and who is suppressed by now; of: another
    plan than the deployed one."""
    used = of or plan()
    table = f"{target.deployment}-{Table.INTERVENTIONS}"
    suppressions = DynamoSuppressions(target.client("dynamodb"), table, WallClock(), NoMetrics())
    return MapWebhook(Canonical(used, fragments(target)), used.version, suppressions)


def raw_bodies(target: Target, *, archived: bool) -> RawBodies:
    """Raw webhooks, on their topic or in their archive."""
    if archived:
        return ArchivedRawBodies(target.client("s3"), target.parameter("archive", "bucket"))
    return KafkaRawBodies(target.bootstrap, target.auth, region=target.region)


def producer(target: Target) -> KafkaProducer:
    """Kafka."""
    return KafkaProducer(
        target.bootstrap, target.auth, probe=Topic.EVENTS_RECEIVED, region=target.region
    )
