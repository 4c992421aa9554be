"""Ports on the running local cloud: what commands read with."""

from __future__ import annotations

from typing import Any

from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import Table, Topic
from desireline.errors import UnavailableError
from desireline.identity.aliases import Fragments
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


class NoMetrics:
    """A command has nobody who would look at counters."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


def warehouse(addresses: Addresses) -> Any:
    """A connection to the warehouse. Raises UnavailableError."""
    from snowflake.connector.errors import Error  # noqa: PLC0415 — as in `connect`

    try:
        return connect(int(addresses.warehouse.rpartition(":")[2]))
    except Error as error:
        raise UnavailableError(f"the warehouse: {error}") from error
