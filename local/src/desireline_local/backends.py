"""Ports on the running local cloud: what commands read with."""

from __future__ import annotations

from functools import cache
from typing import Any

from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.kafka_raw_bodies import KafkaRawBodies
from desireline.adapters.s3_raw_bodies import ArchivedRawBodies
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.aliases import Fragments
from desireline.contracts import Table, Topic
from desireline.ports import RawBodies
from desireline.receive.canonical import Canonical
from desireline.receive.mapping import MapWebhook
from desireline.receive.senders import known
from desireline.receive.senders.sender import Sender
from desireline.receive.topics import topic_senders
from desireline.tracking_plan import TrackingPlan, load_plan
from desireline_local.cloud import Addresses
from desireline_local.warehouse.connection import connect


def store(addresses: Addresses) -> DynamoStore:
    """The tables."""
    return DynamoStore(
        addresses.client("dynamodb"), {table: addresses.table(table) for table in Table}
    )


def producer(addresses: Addresses) -> KafkaProducer:
    """Kafka."""
    return KafkaProducer(addresses.kafka, "plaintext", probe=Topic.EVENTS_RECEIVED)


def fragments(addresses: Addresses) -> Fragments:
    """The namer of fragments, with the deployment's secret."""
    return Fragments(addresses.secret("identity"))


def senders() -> dict[str, Sender]:
    """All whose bodies may lie among the raw webhooks: also the company's topics."""
    return {**known(), **topic_senders(plan())}


@cache
def plan() -> TrackingPlan:
    """The tracking plan as it is deployed."""
    return load_plan()


def mapping(addresses: Addresses, of: TrackingPlan | None = None) -> MapWebhook:
    """The mapping step, with the deployment's secret and who is suppressed by now; of: another
    plan than the deployed one."""
    used = of or plan()
    suppressions = DynamoSuppressions(
        addresses.client("dynamodb"),
        addresses.table(Table.INTERVENTIONS),
        WallClock(),
        NoMetrics(),
    )
    return MapWebhook(Canonical(used, fragments(addresses)), used.version, suppressions)


class NoMetrics:
    """A command has nobody who would look at counters."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


def raw_bodies(addresses: Addresses, *, archived: bool) -> RawBodies:
    """Raw webhooks, on their topic or in their archive."""
    if archived:
        return ArchivedRawBodies(addresses.client("s3"), addresses.archive_bucket)
    return KafkaRawBodies(addresses.kafka, "plaintext")


def warehouse(addresses: Addresses) -> Any:
    """A connection to the warehouse."""
    return connect(int(addresses.warehouse.rpartition(":")[2]))
