"""Build the object that a Kafka mapping writes to its on-failure bucket.

It has the metadata of the failure and the whole event as a string, with each record's key, headers
and timestamp: docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from desireline_local.poller.event_source import KafkaEventSource

EXHAUSTED = "RetryAttemptsExhausted"
TOO_OLD = "MaxRecordAgeExceeded"
TOO_LARGE = "MaximumPayloadSizeExceeded"


def object_key(mapping: KafkaEventSource, event: Mapping[str, Any], now: datetime) -> str:
    """Return aws/lambda/MAPPING/TOPIC-PARTITION/YYYY/MM/DD/..., by the event's first partition."""
    shard = next(iter(event["records"]))
    return f"aws/lambda/{mapping.id}/{shard}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"


def document(
    mapping: KafkaEventSource, event: Mapping[str, Any], *, condition: str, tried: int
) -> dict[str, Any]:
    """Build the object's JSON. condition: the reason. tried: the number of invocations."""
    payload = json.dumps(event)
    records = event["records"]
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": mapping.arn,
            "condition": condition,
            "approximateInvokeCount": tried,
        },
        "responseContext": None
        if condition == TOO_LARGE
        else {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": _iso(datetime.now(UTC).timestamp() * 1000),
        "KafkaBatchInfo": {
            "batchSize": sum(len(one) for one in records.values()),
            "eventSourceArn": mapping.source,
            "bootstrapServers": event["bootstrapServers"],
            "payloadSize": len(payload),
            "recordsInfo": {name: _info(one) for name, one in records.items()},
        },
        "payload": payload,
    }


def _info(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    first, last = records[0], records[-1]
    return {
        "firstRecordOffset": str(first["offset"]),
        "lastRecordOffset": str(last["offset"]),
        "firstRecordTimestamp": _iso(first["timestamp"]),
        "lastRecordTimestamp": _iso(last["timestamp"]),
    }


def _iso(milliseconds: float) -> str:
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
