"""Write the records that a stream's mapping gives up to its on-failure destination."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ministack.services.lambda_svc as lambdas
from ministack.core.responses import new_uuid
from ministack.services import s3

SHARD = "shardId-00000000000000000000-00000000"
BUCKET = "arn:aws:s3:::"

log = logging.getLogger(__name__)


def set_aside(
    mapping: Mapping[str, Any],
    function: Any,
    records: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    *,
    condition: str,
    tried: int,
    pause: Callable[[], None],
) -> None:
    """Write to the on-failure destination.

    A bucket gets the records too, as on AWS. The write is retried until it succeeds, with `pause`
    in between. A queue or topic gets only the records' positions."""
    destination = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
    target = str(destination.get("Destination") or "")
    log.error("%s: %d dead letters: %s", mapping["UUID"], len(records), condition)
    if not target.startswith(BUCKET):
        lambdas._send_ddb_stream_failure_record(
            mapping, function, records, mapping["EventSourceArn"], answer, condition
        )
        return
    now = datetime.now(UTC)
    key = (
        f"aws/lambda/{mapping['UUID']}/{SHARD}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{new_uuid()}"
    )
    document = json.dumps(_invocation_record(mapping, records, condition=condition, tried=tried))
    while True:
        status, _, body = s3._put_object(
            target.removeprefix(BUCKET),
            key,
            document.encode(),
            {"content-type": "application/json"},
        )
        if status < 300:
            return
        log.warning("%s: on-failure destination: %s", mapping["UUID"], body)
        pause()


def _invocation_record(
    mapping: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    *,
    condition: str,
    tried: int,
) -> dict[str, Any]:
    """Build the object: docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html."""
    first, last = records[0]["dynamodb"], records[-1]["dynamodb"]
    return {
        "requestContext": {
            "requestId": new_uuid(),
            "functionArn": mapping["FunctionArn"],
            "condition": condition,
            "approximateInvokeCount": tried,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "version": "1.0",
        "timestamp": _iso(datetime.now(UTC).timestamp()),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": first["SequenceNumber"],
            "endSequenceNumber": last["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _iso(first["ApproximateCreationDateTime"]),
            "approximateArrivalOfLastRecord": _iso(last["ApproximateCreationDateTime"]),
            "batchSize": len(records),
            "streamArn": mapping["EventSourceArn"],
        },
        "payload": json.dumps({"Records": list(records)}),
    }


def _iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(float(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"
