"""What a Kafka event source mapping says, as ListEventSourceMappings tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class KafkaMapping:
    """The settings that the poller honours. Times in seconds.

    retries: -1 for until the record's age; max_age: -1 for ever. partial: whether the function's
    partial batch responses count, which takes provisioned pollers, as on AWS; so do retries, age
    and bisection. bucket: of the on-failure destination, None without one.
    """

    id: str
    function: str
    arn: str
    source: str
    topic: str
    group: str
    batch_size: int
    window: float
    retries: int
    max_age: int
    bisect: bool
    partial: bool
    bucket: str | None


def kafka_mappings(listed: Iterable[Mapping[str, Any]]) -> list[KafkaMapping]:
    """The enabled Kafka mappings among those listed; one has exactly one topic."""
    return [
        _mapping(one)
        for one in listed
        if one.get("Topics") and one.get("State", "Enabled") in ("Enabled", "Enabling", "Creating")
    ]


def _mapping(one: Mapping[str, Any]) -> KafkaMapping:
    provisioned = bool(one.get("ProvisionedPollerConfig"))
    destination = (one.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    managed = one.get("AmazonManagedKafkaEventSourceConfig") or {}
    name = str(one["FunctionArn"]).split(":function:")[1]
    return KafkaMapping(
        id=one["UUID"],
        function=name,
        arn=one["FunctionArn"],
        source=one.get("EventSourceArn", ""),
        topic=one["Topics"][0],
        group=managed.get("ConsumerGroupId") or one["UUID"],
        batch_size=int(one.get("BatchSize") or 100),
        window=float(one.get("MaximumBatchingWindowInSeconds") or 0),
        retries=int(one.get("MaximumRetryAttempts", UNLIMITED)) if provisioned else UNLIMITED,
        max_age=int(one.get("MaximumRecordAgeInSeconds", UNLIMITED)) if provisioned else UNLIMITED,
        bisect=provisioned and _true(one.get("BisectBatchOnFunctionError")),
        partial=provisioned
        and "ReportBatchItemFailures" in (one.get("FunctionResponseTypes") or ()),
        bucket=destination.rpartition(":")[2] if destination else None,
    )


def _true(value: object) -> bool:
    return str(value).lower() == "true"
