"""Faults that AWS has and ministack does not: throttling, transaction conflicts, a write or a
message that is accepted and not answered. Injected here, because functions run in processes of
their own and production code holds no hooks."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

from ministack.core.responses import error_response_json
from ministack.services import dynamodb, sns

SILENCE_SECONDS = 30.0
"""Longer than any client of ours waits for an answer."""
THROTTLE, CONFLICT, SILENCE = "throttle", "conflict", "silence"
PUBLISH = "Publish"
_DATA_PLANE = frozenset(
    (
        *("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"),
        *("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems"),
    )
)


@dataclass
class Planned:
    """The next `calls` calls of this operation of DynamoDB (None: any of the data plane) on this
    table (None: any) get this fault. kind: throttle, conflict, silence."""

    kind: str
    calls: int
    operation: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in (THROTTLE, CONFLICT, SILENCE):
            raise ValueError(f"no such fault: {self.kind}")


@dataclass
class Faults:
    """throttle, conflict: chances of a DynamoDB call to be throttled, of a transaction to
    conflict. silent_publishes: how many of the next SNS publishes are accepted and not answered.
    planned: faults of certain calls. poison: DynamoDB calls that name this text are throttled, so
    that a record which needs them cannot be handled. injected: what was, by kind. seed: of the
    chances."""

    throttle: float = 0.0
    conflict: float = 0.0
    silent_publishes: int = 0
    seed: int = 0
    poison: str = ""
    planned: list[Planned] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)


FAULTS = Faults()
_random = random.Random(0)
_lock = threading.Lock()


def set_faults(changes: Mapping[str, Any]) -> None:
    """Change what is injected; what is not named stays. `planned` is a list of objects with the
    fields of Planned. Raises ValueError or TypeError for what is unknown."""
    unknown = changes.keys() - {
        *("throttle", "conflict", "silent_publishes", "seed", "planned", "poison"),
    }
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
    values = dict(changes)
    if "planned" in values:
        values["planned"] = [Planned(**one) for one in values["planned"]]
    with _lock:
        for name, value in values.items():
            setattr(FAULTS, name, value)
        if "seed" in values:
            _random.seed(values["seed"])


def look() -> dict[str, Any]:
    """What is, and was, injected."""
    with _lock:
        return asdict(FAULTS)


def install() -> None:
    """Stand before DynamoDB's and SNS' handlers."""
    handle, publish = dynamodb.handle_request, sns.handle_request

    async def handled(method: Any, path: Any, headers: Any, body: Any, query: Any) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        kind = _of_dynamodb(operation, body) if operation in _DATA_PLANE else None
        if kind == THROTTLE:
            return error_response_json(
                "ProvisionedThroughputExceededException", "injected: slow down", 400
            )
        if kind == CONFLICT:
            return _conflict(operation, json.loads(body))
        answer = await handle(method, path, headers, body, query)
        if kind == SILENCE:
            await asyncio.sleep(SILENCE_SECONDS)
        return answer

    async def published(method: Any, path: Any, headers: Any, body: Any, query: Any) -> Any:
        answer = await publish(method, path, headers, body, query)
        form = parse_qs(body.decode(errors="replace")) if body else {}
        if form.get("Action") == [PUBLISH] and answer[0] == 200 and _silent_publish():
            await asyncio.sleep(SILENCE_SECONDS)
        return answer

    dynamodb.handle_request = handled
    sns.handle_request = published


def _of_dynamodb(operation: str, body: bytes) -> str | None:
    """What is to happen to this call, if anything."""
    if FAULTS.poison and FAULTS.poison.encode() in body:
        with _lock:
            return _inject(THROTTLE)
    if not (FAULTS.throttle or FAULTS.conflict or FAULTS.planned):
        return None
    tables = set(_tables(json.loads(body)))
    with _lock:
        for one in FAULTS.planned:
            if one.operation in (None, operation) and (one.table is None or one.table in tables):
                one.calls -= 1
                FAULTS.planned = [left for left in FAULTS.planned if left.calls > 0]
                return _inject(one.kind)
        if _random.random() < FAULTS.throttle:
            return _inject(THROTTLE)
        if operation == "TransactWriteItems" and _random.random() < FAULTS.conflict:
            return _inject(CONFLICT)
    return None


def _silent_publish() -> bool:
    with _lock:
        if FAULTS.silent_publishes <= 0:
            return False
        FAULTS.silent_publishes -= 1
        _inject("silent_publish")
        return True


def _inject(kind: str) -> str:
    FAULTS.injected[kind] = FAULTS.injected.get(kind, 0) + 1
    return kind


def _tables(request: Mapping[str, Any]) -> Iterator[str]:
    """The names of the tables that a request speaks of."""
    if "TableName" in request:
        yield request["TableName"]
    yield from request.get("RequestItems", {})
    for item in request.get("TransactItems", ()):
        for part in item.values():
            yield part["TableName"]


def _conflict(operation: str, request: Mapping[str, Any]) -> Any:
    """As the service answers: in a transaction by its reasons, elsewhere by an exception."""
    if "TransactItems" not in request:
        return error_response_json("TransactionConflictException", f"injected: {operation}", 400)
    others = [{"Code": "None"}] * (len(request["TransactItems"]) - 1)
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "injected: Transaction cancelled [TransactionConflict]",
        "CancellationReasons": [{"Code": "TransactionConflict"}, *others],
    }
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()
