"""Report whether ministack is at rest: no function runs, no record waits, all executions wait."""

from __future__ import annotations

from typing import Any

import ministack.services.lambda_svc as lambdas
import ministack.services.stepfunctions as sf
from ministack.core.arn import parse_arn
from ministack.services import dynamodb, sqs

from desireline_local.aws.tool import patches
from desireline_local.aws.tool.virtual_time import SLEEPERS


def look() -> dict[str, Any]:
    """Return the unfinished work: running and started invocations by function, unhandled records of
    streams and messages of queues, awake and waiting executions. next_due: the first due time of a
    waiting execution, epoch seconds of journey time."""
    due = [(arn, SLEEPERS.due(arn)) for arn in _running()]
    waiting = [at for _, at in due if at is not None]
    return {
        "in_flight": {name: n for name, n in dict(patches.in_flight).items() if n},
        "started": dict(patches.invocations),
        "stream_records": _stream_backlog(),
        "queued_messages": _queued(),
        "executions_awake": len(due) - len(waiting),
        "executions_waiting": len(waiting),
        "next_due": min(waiting) if waiting else None,
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
    """Count the messages in queues that a function consumes. Other queues do not count."""
    consumed = {arn for arn, _ in _mappings("sqs")}
    queues = list(sqs._queues._data.values())
    return sum(
        len(queue["messages"]) for queue in queues if queue["attributes"]["QueueArn"] in consumed
    )
