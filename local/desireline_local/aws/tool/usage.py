"""Count what AWS would bill, for bench/cost.py.

It counts the HTTP API's requests, functions' invocations, milliseconds and log bytes, DynamoDB's
units by table, transitions of state machines, and calls by operation and calling function.
ministack computes DynamoDB's units from the sizes of items. It omits writes whose condition is not
met and the absent keys of a BatchGetItem, so this module adds both.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ministack.core.lambda_runtime as runtime
import ministack.services.stepfunctions as sf
from ministack.services import apigateway, dynamodb, s3, secretsmanager, sns, sqs, ssm

LOG_EVENT_BYTES = 26
"""The bytes that CloudWatch adds to each event of a log."""
_READS = frozenset(("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"))
_WRITES = frozenset(("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"))
_APPLICATION = re.compile(r"\bapp/(\S+)")
_NOT_MET = ("ConditionalCheckFailed", "TransactionCanceled")

Handler = Callable[..., Awaitable[Any]]


@dataclass
class Usage:
    """The counts since counting began. requests: of the HTTP API. milliseconds: by function, with
    each invocation rounded up. warm, cpu_seconds: by function, the invocations with an existing
    environment, and their CPU time; 0 without /proc. calls: by service and operation. called: the
    number of calls by calling function."""

    counting: bool = False
    requests: int = 0
    transitions: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    milliseconds: Counter[str] = field(default_factory=Counter)
    warm: Counter[str] = field(default_factory=Counter)
    cpu_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    log_bytes: Counter[str] = field(default_factory=Counter)
    read_units: Counter[str] = field(default_factory=Counter)
    write_units: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    called: Counter[str] = field(default_factory=Counter)


_usage = Usage()
_lock = threading.Lock()


def begin(*, counting: bool) -> None:
    """Start to count from zero, or stop. After a stop, `look` still returns the counts."""
    global _usage  # noqa: PLW0603 — one for the process
    with _lock:
        if counting:
            _usage = Usage(counting=True)
        else:
            _usage.counting = False


def look() -> dict[str, Any]:
    """Return the counts."""
    with _lock:
        return {
            name: dict(kept) if isinstance(kept, dict) else kept
            for name, kept in vars(_usage).items()
        }


def install() -> None:
    """Wrap the functions of ministack whose calls are counted."""
    _requests()
    _callers()
    _functions()
    _transitions()
    _tables()
    for service in (s3, secretsmanager, sns, sqs, ssm):
        name = service.__name__.rpartition(".")[2]
        service.handle_request = _counted(name, service.handle_request)


def _requests() -> None:
    proxy = apigateway._invoke_lambda_proxy

    async def invoked(*arguments: Any, **keywords: Any) -> Any:
        if _usage.counting:
            with _lock:
                _usage.requests += 1
        return await proxy(*arguments, **keywords)

    apigateway._invoke_lambda_proxy = invoked


def _callers() -> None:
    """Let a function's clients send its name as their application with each call."""
    credentials = runtime.execution_credentials

    def named(config: dict[str, Any]) -> dict[str, str]:
        return {**credentials(config), "AWS_SDK_UA_APP_ID": config["FunctionName"]}

    runtime.execution_credentials = named


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
        pid = self._proc.pid if self._proc is not None else None
        worked = None if pid is None else cpu_seconds(pid)
        began = time.perf_counter()
        answer = invoke(self, *arguments, **keywords)
        seconds = time.perf_counter() - began - waited.seconds
        works = None if pid is None or answer.get("cold_start") else cpu_seconds(pid)
        lines = [line for line in (answer.get("log") or "").splitlines() if line]
        with _lock:
            _usage.invocations[self.func_name] += 1
            _usage.milliseconds[self.func_name] += math.ceil(seconds * 1000)
            if worked is not None and works is not None:
                _usage.warm[self.func_name] += 1
                _usage.cpu_seconds[self.func_name] += works - worked
            _usage.log_bytes[self.func_name] += sum(
                len(line.encode()) + LOG_EVENT_BYTES for line in lines
            )
        return answer

    runtime.Worker._drain_stderr_bounded = drained
    runtime.Worker.invoke = invoked


def cpu_seconds(pid: int) -> float | None:
    """Return a process' CPU time; None if it has ended or there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
            _count_call(f"dynamodb.{operation}", headers)
            kept.update(units)
        return status, answered, answer

    dynamodb.handle_request = handled


def consumed(operation: str, request: Any, status: int, answer: Any) -> Counter[str]:
    """Return the units of a call by table."""
    units: Counter[str] = Counter()
    if status == 200 and operation == "BatchGetItem":
        for table, batch in request["RequestItems"].items():
            items = answer["Responses"].get(table, [])
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            absent = len(batch["Keys"]) - len(left) - len(items)
            read = absent + sum(map(_read_units, items))
            half = not batch.get("ConsistentRead")
            units[table] += read / 2 if half else read  # type: ignore[assignment]
    elif status == 200:
        told = answer.get("ConsumedCapacity") or []
        for one in told if isinstance(told, list) else [told]:
            units[one["TableName"]] += one["CapacityUnits"]
    elif operation in _WRITES and any(name in answer.get("__type", "") for name in _NOT_MET):
        parts = request.get("TransactItems", [{"Put": request}])
        for part in (one for item in parts for one in item.values()):
            size = dynamodb._item_size_bytes(part["Item"]) if "Item" in part else 0
            units[part["TableName"]] += max(1, math.ceil(size / 1024)) * (1 + (len(parts) > 1))
    return units


def _read_units(item: Any) -> int:
    """Return the units of a consistent read: one for each started 4 KB."""
    size: int = dynamodb._item_size_bytes(item)
    return max(1, math.ceil(size / 4096))


def _count_call(name: str, headers: Any) -> None:
    _usage.calls[name] += 1
    caller = _APPLICATION.search(headers.get("user-agent", ""))
    if caller:
        _usage.called[caller[1]] += 1


def _counted(service: str, handle: Handler) -> Handler:
    async def handled(
        method: str, path: str, headers: Any, body: Any, *others: Any, **kw: Any
    ) -> Any:
        if _usage.counting:
            operation = (
                headers.get("x-amz-target", "").rpartition(".")[2] or _action(body) or method
            )
            with _lock:
                _count_call(f"{service}.{operation}", headers)
        return await handle(method, path, headers, body, *others, **kw)

    return handled


def _action(body: bytes | None) -> str:
    """Return the action of a call of the query protocol. Other bodies are files."""
    if not body or not body.startswith(b"Action="):
        return ""
    return parse_qs(body.decode(errors="replace"))["Action"][0]
