"""Inject faults of AWS that ministack does not have, for tests.

The faults are throttling, transaction conflicts, and accepted writes or messages without an answer.
They are injected here because functions run in their own processes, without hooks for tests.
"""

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
"""Longer than the read time-out of every client."""
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
    """A fault of the next `calls` calls of DynamoDB. operation: None for any of the data plane.
    table: None for any. kind: throttle, conflict, silence."""

    kind: str
    calls: int
    operation: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in (THROTTLE, CONFLICT, SILENCE):
            raise ValueError(f"no such fault: {self.kind}")


@dataclass
class Faults:
    """The faults to inject. throttle, conflict: probabilities for a DynamoDB call, and for a
    transaction. silent_publishes: the number of the next SNS publishes without an answer. planned:
    faults of certain calls. poison: a text; DynamoDB calls that contain it are throttled, so a
    record that needs them fails. injected: counts by kind. seed: of the probabilities."""

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
    """Change the named fields of Faults. `planned` is a list of objects with the fields of Planned.

    Raises ValueError or TypeError for unknown fields."""
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
    """Return the faults and the counts of injected ones."""
    with _lock:
        return asdict(FAULTS)


def install() -> None:
    """Wrap the handlers of DynamoDB and SNS."""
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
    """Return the kind of fault for this call, or None."""
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
    """Yield the names of a request's tables."""
    if "TableName" in request:
        yield request["TableName"]
    yield from request.get("RequestItems", {})
    for item in request.get("TransactItems", ()):
        for part in item.values():
            yield part["TableName"]


def _conflict(operation: str, request: Mapping[str, Any]) -> Any:
    """Build the answer of a conflict: reasons for a transaction, an exception otherwise."""
    if "TransactItems" not in request:
        return error_response_json("TransactionConflictException", f"injected: {operation}", 400)
    others = [{"Code": "None"}] * (len(request["TransactItems"]) - 1)
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "injected: Transaction cancelled [TransactionConflict]",
        "CancellationReasons": [{"Code": "TransactionConflict"}, *others],
    }
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()
