"""Bound ministack's memory for logs, metrics and changes of tables.

Stock ministack stores the log of each invocation forever, metrics for two weeks, and each change of
a table for 24 hours with both images of the row. All grow with each event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ministack.services.lambda_svc as lambdas
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, cloudwatch_logs, dynamodb

KEPT_LOGS = 200
"""The number of newest invocations whose log a log group stores."""
KEPT_POINTS = 1_000
"""The number of newest data points of each metric and dimension."""
KEPT_CHANGES = 500
"""The number of newest changes that a stream stores after all mappings have handled them."""

_changes = threading.RLock()
"""Guards a stream's records and the number of removed ones, which change together."""


def install() -> None:
    """Bound the memory of logs, metrics and streams."""
    _bound_logs()
    _bound_metrics()
    _bound_streams()


def _bound_logs() -> None:
    emit = lambdas._emit_lambda_logs
    ending = threading.Lock()

    def emitted(func: Any, *arguments: Any, **keywords: Any) -> None:
        emit(func, *arguments, **keywords)
        config = func.get("config") or func
        name = (config.get("LoggingConfig") or {}).get("LogGroup")
        group = cloudwatch_logs._log_groups.get(
            name or f"/aws/lambda/{config.get('FunctionName', 'unknown')}"
        )
        if group is None or len(group["streams"]) <= KEPT_LOGS:
            return
        with ending:
            streams = group["streams"]
            for stream in list(streams)[:-KEPT_LOGS]:
                del streams[stream]

    lambdas._emit_lambda_logs = emitted


def _bound_metrics() -> None:
    bucket = cloudwatch._metric_bucket

    def bounded(key: Any) -> list[Any]:
        points: list[Any] = bucket(key)
        if len(points) >= 2 * KEPT_POINTS:
            del points[:-KEPT_POINTS]
        return points

    cloudwatch._metric_bucket = bounded


def _bound_streams() -> None:
    trim = dynamodb._trim_stream_records

    def trimmed(table: str, *, account_id: Any = None, region: Any = None) -> None:
        account, place = account_id or get_account_id(), region or get_region()
        with _changes:
            trim(table, account_id=account_id, region=region)
            records = dynamodb._stream_records.get_scoped(account, place, table) or []
            if len(records) < 2 * KEPT_CHANGES:
                return
            before = dynamodb._stream_trimmed.get_scoped(account, place, table, 0)
            end = before + len(records)
            upto = min(end - KEPT_CHANGES, *_handled(account, place, table, end), end)
            if upto > before:
                del records[: upto - before]
                dynamodb._stream_trimmed.set_scoped(account, place, table, upto)

    dynamodb._trim_stream_records = trimmed
    for name in (
        "stream_start_position",
        "stream_end_position",
        "stream_records_since",
        "stream_live_records",
    ):
        setattr(dynamodb, name, _in_one_piece(getattr(dynamodb, name)))


def _in_one_piece(read: Callable[..., Any]) -> Callable[..., Any]:
    def reading(*arguments: Any, **keywords: Any) -> Any:
        with _changes:
            return read(*arguments, **keywords)

    return reading


def _handled(account: str, region: str, table: str, end: int) -> list[int]:
    """Return the absolute position of each mapping in the table's stream."""
    positions = []
    for owner, place, mapping in lambdas._iter_all_esms():
        arn = mapping.get("EventSourceArn") or ""
        if (owner, place) == (account, region) and f":table/{table}/stream/" in arn:
            positions.append(lambdas._dynamodb_stream_positions.get(mapping["UUID"], 0))
    return positions or [end]
