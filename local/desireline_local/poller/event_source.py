"""Read the settings of Kafka event source mappings from ListEventSourceMappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNLIMITED = -1
RETRIES_BEFORE_A_DESTINATION = 10
"""Lambda's number of retries, if they are unlimited and an on-failure destination exists."""
BUCKET = "arn:aws:s3:::"


@dataclass(frozen=True, slots=True)
class KafkaEventSource:
    """The settings of a mapping that the poller applies. Times in seconds.

    retries: -1 for unlimited. max_age: -1 for unlimited. partial: whether partial batch responses
    count. As on AWS, partial responses, retries, age and bisection need provisioned pollers.
    bucket: of the on-failure destination, or None. pollers: the number of concurrent batches.
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


def kafka_event_sources(listed: Iterable[Mapping[str, Any]]) -> list[KafkaEventSource]:
    """Return the enabled Kafka mappings among those listed. Each has exactly one topic."""
    active = ("Enabled", "Enabling", "Creating")
    return [
        _event_source(item)
        for item in listed
        if item.get("Topics") and item.get("State", "Enabled") in active
    ]


def _event_source(item: Mapping[str, Any]) -> KafkaEventSource:
    provisioned = item.get("ProvisionedPollerConfig") or {}
    target = str(((item.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination"))
    bucket = target.removeprefix(BUCKET) if target.startswith(BUCKET) else None
    managed = item.get("AmazonManagedKafkaEventSourceConfig") or {}
    name = str(item["FunctionArn"]).split(":function:")[1]
    retries = int(item.get("MaximumRetryAttempts", UNLIMITED))
    if retries == UNLIMITED and bucket:
        retries = RETRIES_BEFORE_A_DESTINATION
    return KafkaEventSource(
        id=item["UUID"],
        function=name,
        arn=item["FunctionArn"],
        source=item.get("EventSourceArn", ""),
        topic=item["Topics"][0],
        group=managed.get("ConsumerGroupId") or item["UUID"],
        batch_size=int(item.get("BatchSize") or 100),
        window=float(item.get("MaximumBatchingWindowInSeconds") or 0),
        retries=retries if provisioned else UNLIMITED,
        max_age=int(item.get("MaximumRecordAgeInSeconds", UNLIMITED)) if provisioned else UNLIMITED,
        bisect=bool(provisioned) and _true(item.get("BisectBatchOnFunctionError")),
        partial=bool(provisioned)
        and "ReportBatchItemFailures" in (item.get("FunctionResponseTypes") or ()),
        bucket=bucket,
        pollers=int(provisioned.get("MaximumPollers", 1)),
    )


def _true(value: object) -> bool:
    return str(value).lower() == "true"
