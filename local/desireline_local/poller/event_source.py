"""What a Kafka event source mapping says, as ListEventSourceMappings tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNLIMITED = -1
RETRIES_BEFORE_A_DESTINATION = 10
"""What Lambda applies to unlimited retries with an on-failure destination."""
BUCKET = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class KafkaMapping:
    """The settings that the poller honours. Times in seconds.

    retries: -1 for until the record's age; max_age: -1 for ever. partial: whether the function's
    partial batch responses count, which takes provisioned pollers, as on AWS; so do retries, age
    and bisection. bucket: of the on-failure destination, None without one. pollers: how many
    batches may be under way at once.
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
    pollers: int = 1


def kafka_mappings(listed: Iterable[Mapping[str, Any]]) -> list[KafkaMapping]:
    """The enabled Kafka mappings among those listed; one has exactly one topic."""
    return [
        _mapping(one)
        for one in listed
        if one.get("Topics") and one.get("State", "Enabled") in ("Enabled", "Enabling", "Creating")
    ]


def _mapping(one: Mapping[str, Any]) -> KafkaMapping:
    provisioned = one.get("ProvisionedPollerConfig") or {}
    target = str(((one.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination"))
    bucket = target.removeprefix(BUCKET) if target.startswith(BUCKET) else None
    managed = one.get("AmazonManagedKafkaEventSourceConfig") or {}
    name = str(one["FunctionArn"]).split(":function:")[1]
    retries = int(one.get("MaximumRetryAttempts", UNLIMITED))
    if retries == UNLIMITED and bucket:
        retries = RETRIES_BEFORE_A_DESTINATION
    return KafkaMapping(
        id=one["UUID"],
        function=name,
        arn=one["FunctionArn"],
        source=one.get("EventSourceArn", ""),
        topic=one["Topics"][0],
        group=managed.get("ConsumerGroupId") or one["UUID"],
        batch_size=int(one.get("BatchSize") or 100),
        window=float(one.get("MaximumBatchingWindowInSeconds") or 0),
        retries=retries if provisioned else UNLIMITED,
        max_age=int(one.get("MaximumRecordAgeInSeconds", UNLIMITED)) if provisioned else UNLIMITED,
        bisect=bool(provisioned) and _true(one.get("BisectBatchOnFunctionError")),
        partial=bool(provisioned)
        and "ReportBatchItemFailures" in (one.get("FunctionResponseTypes") or ()),
        bucket=bucket,
        pollers=int(provisioned.get("MaximumPollers", 1)),
    )


def _true(value: object) -> bool:
    return str(value).lower() == "true"
