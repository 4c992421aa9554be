"""Build the parts that handlers and operators' commands share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.raw_bodies import FirstFound
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.adapters.settings import KafkaSettings, ReceiverSettings, TableSettings
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.contracts import IDENTITY_SECRET, Table, Topic
from desireline.plan.tracking_plan import TrackingPlan
from desireline.ports import Clock, Metrics, Producer, Secrets, Suppressions
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders import NAMES, load_senders
from desireline.receive.senders._topic import topic_senders
from desireline.receive.senders.sender import Sender


class ReceiverPorts(TypedDict):
    """The arguments that receive_webhook and receive_topic share."""

    mapper: EventMapper
    producer: Producer
    clock: Clock
    wall: Clock
    metrics: Metrics


def store(settings: TableSettings, dynamodb: Any = None) -> DynamoStore:
    """Return the store. dynamodb: a client with other waits than the default."""
    return DynamoStore(dynamodb or client("dynamodb"), settings.tables)


def producer(settings: KafkaSettings, probe: Topic = Topic.EVENTS_RECEIVED) -> KafkaProducer:
    """Return a producer. probe: a topic that the function may describe."""
    return KafkaProducer(
        settings.kafka_bootstrap, settings.kafka_auth, probe=probe, region=settings.aws_region
    )


def suppressions(tables: Mapping[Table, str], metrics: Metrics, dynamodb: Any) -> Suppressions:
    """Return the suppressed persons, as the table lists them."""
    return DynamoSuppressions(dynamodb, tables[Table.ADMISSION], WallClock(), metrics)


def mapper(plan: TrackingPlan, secrets: Secrets, suppressed: Suppressions) -> EventMapper:
    """Return the mapper of a plan, with the deployment's secret."""
    return EventMapper.with_secret(plan, secrets.current(IDENTITY_SECRET)[0], suppressed)


def receiver_ports(
    settings: ReceiverSettings,
    plan: TrackingPlan,
    secrets: Secrets,
    metrics: Metrics,
    dynamodb: Any,
) -> ReceiverPorts:
    """Return the ports of a receiver, and the mapper of a plan."""
    suppressed = suppressions(settings.tables, metrics, dynamodb)
    return ReceiverPorts(
        mapper=mapper(plan, secrets, suppressed),
        producer=producer(settings),
        clock=journey_clock(settings.clock_url),
        wall=WallClock(),
        metrics=metrics,
    )


def all_senders(plan: TrackingPlan, names: Iterable[str] = NAMES) -> dict[str, Sender]:
    """Return the senders of raw bodies: these senders of webhooks, and all topics."""
    return {**load_senders(names), **topic_senders(plan)}


def raw_bodies(settings: KafkaSettings, archive_bucket: str) -> FirstFound:
    """Return the raw bodies on their topic and in the archive, which stores them longer."""
    return FirstFound(
        KafkaRawBodies(settings.kafka_bootstrap, settings.kafka_auth, region=settings.aws_region),
        ArchivedRawBodies(client("s3"), archive_bucket),
    )
