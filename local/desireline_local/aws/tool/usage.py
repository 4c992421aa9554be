"""What AWS would bill of what is done here, counted while somebody asks for it.

Requests of the HTTP API; each function's invocations, milliseconds and bytes of log; DynamoDB's
units, by table; transitions of state machines; calls of the other services. DynamoDB's units are
ministack's own reckoning, by the sizes of items, besides what it leaves out: a write whose
condition is not met is a write, too.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import ministack.core.lambda_runtime as runtime
import ministack.services.stepfunctions as sf
from ministack.services import apigateway, dynamodb, s3, secretsmanager, sns, sqs, ssm

LOG_EVENT_BYTES = 26
"""CloudWatch counts so many for each event of a log, besides its text."""
_READS = frozenset(("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"))
_WRITES = frozenset(("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"))
_NOT_MET = ("ConditionalCheckFailed", "TransactionCanceled")

Handler = Callable[..., Awaitable[Any]]


@dataclass
class Usage:
    """Since counting began. requests: of the HTTP API. milliseconds: by function, each invocation
    rounded up, in its environment alone. calls: by service and operation."""

    counting: bool = False
    requests: int = 0
    transitions: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    milliseconds: Counter[str] = field(default_factory=Counter)
    log_bytes: Counter[str] = field(default_factory=Counter)
    read_units: Counter[str] = field(default_factory=Counter)
    write_units: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)


_usage = Usage()
_lock = threading.Lock()


def begin(*, counting: bool) -> None:
    """Count from nothing, or no longer; what was counted stays to be asked for."""
    global _usage  # noqa: PLW0603 — one for the process
    with _lock:
        if counting:
            _usage = Usage(counting=True)
        else:
            _usage.counting = False


def look() -> dict[str, Any]:
    """What was counted."""
    with _lock:
        return {
            name: dict(kept) if isinstance(kept, Counter) else kept
            for name, kept in vars(_usage).items()
        }


def install() -> None:
    """Stand before what is counted. Raises AssertionError when ministack is not as expected."""
    _requests()
    _functions()
    _transitions()
    _tables()
    for name, service in (("s3", s3), ("sns", sns), ("sqs", sqs), ("ssm", ssm)):
        service.handle_request = _counted(name, service.handle_request)
    secretsmanager.handle_request = _counted("secretsmanager", secretsmanager.handle_request)


def _requests() -> None:
    proxy = apigateway._invoke_lambda_proxy

    async def invoked(*arguments: Any, **keywords: Any) -> Any:
        if _usage.counting:
            with _lock:
                _usage.requests += 1
        return await proxy(*arguments, **keywords)

    apigateway._invoke_lambda_proxy = invoked


def _functions() -> None:
    invoke, drain = runtime.Worker.invoke, runtime.Worker._drain_stderr_bounded
    waited = threading.local()

    def drained(self: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        log = drain(self, **keywords)
        waited.seconds = time.perf_counter() - began
        return log

    def invoked(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if not _usage.counting:
            return invoke(self, *arguments, **keywords)
        waited.seconds = 0.0
        began = time.perf_counter()
        answer = invoke(self, *arguments, **keywords)
        seconds = time.perf_counter() - began - waited.seconds
        lines = [line for line in (answer.get("log") or "").splitlines() if line]
        with _lock:
            _usage.invocations[self.func_name] += 1
            _usage.milliseconds[self.func_name] += math.ceil(seconds * 1000)
            _usage.log_bytes[self.func_name] += sum(
                len(line.encode()) + LOG_EVENT_BYTES for line in lines
            )
        return answer

    runtime.Worker._drain_stderr_bounded = drained
    runtime.Worker.invoke = invoked


def _transitions() -> None:
    add = sf._add_event

    def added(execution: Any, event_type: str, *arguments: Any, **keywords: Any) -> Any:
        if _usage.counting and event_type.endswith("StateEntered"):
            with _lock:
                _usage.transitions += 1
        return add(execution, event_type, *arguments, **keywords)

    sf._add_event = added


def _tables() -> None:
    handle = dynamodb.handle_request

    async def handled(method: Any, path: Any, headers: Any, body: Any, query: Any) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if not _usage.counting or operation not in _READS | _WRITES:
            return await handle(method, path, headers, body, query)
        request = json.loads(body)
        asked = json.dumps({**request, "ReturnConsumedCapacity": "TOTAL"}).encode()
        status, answered, answer = await handle(method, path, headers, asked, query)
        units = consumed(operation, request, status, json.loads(answer))
        kept = _usage.read_units if operation in _READS else _usage.write_units
        with _lock:
            _usage.calls[f"dynamodb.{operation}"] += 1
            kept.update(units)
        return status, answered, answer

    dynamodb.handle_request = handled


def consumed(operation: str, request: Any, status: int, answer: Any) -> Counter[str]:
    """Units by table of a call and its answer."""
    units: Counter[str] = Counter()
    if status == 200:
        told = answer.get("ConsumedCapacity") or []
        for one in told if isinstance(told, list) else [told]:
            units[one["TableName"]] += one["CapacityUnits"]
    elif operation in _WRITES and any(name in answer.get("__type", "") for name in _NOT_MET):
        parts = request.get("TransactItems", [{"Put": request}])
        for part in (one for item in parts for one in item.values()):
            size = dynamodb._item_size_bytes(part["Item"]) if "Item" in part else 0
            units[part["TableName"]] += max(1, math.ceil(size / 1024)) * (1 + (len(parts) > 1))
    return units


def _counted(service: str, handle: Handler) -> Handler:
    async def handled(
        method: str, path: str, headers: Any, body: Any, *others: Any, **kw: Any
    ) -> Any:
        if _usage.counting:
            operation = (
                headers.get("x-amz-target", "").rpartition(".")[2] or _action(body) or method
            )
            with _lock:
                _usage.calls[f"{service}.{operation}"] += 1
        return await handle(method, path, headers, body, *others, **kw)

    return handled


def _action(body: bytes | None) -> str:
    """What a call of the query protocol names; the body of others is a file's."""
    if not body or not body.startswith(b"Action="):
        return ""
    return parse_qs(body.decode(errors="replace"))["Action"][0]
