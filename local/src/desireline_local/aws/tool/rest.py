"""Whether ministack is at rest: no function runs, streams and queues are empty, all wait."""

from __future__ import annotations

from typing import Any

import ministack.services.lambda_svc as lambdas
import ministack.services.stepfunctions as sf
from ministack.core.arn import parse_arn
from ministack.services import dynamodb, sqs

from desireline_local.aws.tool import patches
from desireline_local.aws.tool.virtual_time import SLEEPERS


def look() -> dict[str, Any]:
    """What is in flight. `quiet` when nothing is; `activity` grows whenever something happened,
    so that two equal looks with nothing between them mean rest."""
    streams = _stream_backlog()
    queued = _queued()
    awake = [arn for arn in _running() if SLEEPERS.due(arn) is None]
    due = [at for arn in _running() if (at := SLEEPERS.due(arn)) is not None]
    return {
        "quiet": not (patches.in_flight or streams or queued or awake),
        "invocations_in_flight": patches.in_flight,
        "stream_records": streams,
        "queued_messages": queued,
        "executions_awake": len(awake),
        "executions_waiting": len(due),
        "next_due": min(due) if due else None,
        "activity": patches.invocations,
    }


def _running() -> list[str]:
    executions = list(sf._executions._data.values())
    return [one["executionArn"] for one in executions if one["status"] == "RUNNING"]


def _mappings(service: str) -> list[tuple[str, Any]]:
    found = []
    for _, _, mapping in lambdas._iter_all_esms():
        arn = mapping.get("EventSourceArn") or ""
        if arn.startswith("arn:") and parse_arn(arn).service == service:
            found.append((arn, mapping))
    return found


def _stream_backlog() -> int:
    backlog = 0
    for arn, mapping in _mappings("dynamodb"):
        table = arn.split("/stream/")[0].rpartition("/")[2]
        spec = parse_arn(arn)
        scope = {"account_id": spec.account_id, "region": spec.region}
        end = dynamodb.stream_end_position(table, **scope)
        position = lambdas._dynamodb_stream_positions.get(mapping["UUID"])
        backlog += end - position if position is not None else end
    return backlog


def _queued() -> int:
    """Messages in queues that a function consumes; what waits for nobody is at rest."""
    consumed = {arn for arn, _ in _mappings("sqs")}
    queues = list(sqs._queues._data.values())
    return sum(
        len(queue["messages"]) for queue in queues if queue["attributes"]["QueueArn"] in consumed
    )
