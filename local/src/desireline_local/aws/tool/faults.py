"""Faults that AWS has and ministack does not: throttling, transaction conflicts, an SNS that
accepts a message and does not answer. Injected here, because functions run in processes of their
own and production code holds no hooks."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb, sns

SILENCE_SECONDS = 8.0
"""Longer than the sender waits for SNS."""


@dataclass
class Faults:
    """throttle, conflict: chances of a DynamoDB call to be throttled, of a transaction to
    conflict. silent_publishes: how many of the next publishes are accepted and not answered.
    injected: what was, by kind."""

    throttle: float = 0.0
    conflict: float = 0.0
    silent_publishes: int = 0
    seed: int = 0
    injected: dict[str, int] = field(default_factory=dict)


FAULTS = Faults()
_random = random.Random(0)
_lock = threading.Lock()

_DATA_PLANE = frozenset(
    {"PutItem", "GetItem", "Query", "BatchGetItem", "TransactWriteItems", "UpdateItem"}
)


def set_faults(wanted: dict[str, Any]) -> None:
    """Change what is injected; what is not named stays."""
    for name, value in wanted.items():
        if name not in ("throttle", "conflict", "silent_publishes", "seed"):
            raise ValueError(f"no such fault: {name}")
        setattr(FAULTS, name, value)
    if "seed" in wanted:
        _random.seed(wanted["seed"])


def install() -> None:
    """Stand before DynamoDB's and SNS' handlers."""
    handle, publish = dynamodb.handle_request, sns._publish

    async def handled(method: Any, path: Any, headers: Any, body: Any, query: Any) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in _DATA_PLANE and _happens("throttle", FAULTS.throttle):
            return error_response_json(
                "ProvisionedThroughputExceededException", "injected: slow down", 400
            )
        if operation == "TransactWriteItems" and _happens("conflict", FAULTS.conflict):
            return _conflict(json.loads(body))
        return await handle(method, path, headers, body, query)

    def published(parameters: Any) -> Any:
        answer = publish(parameters)
        with _lock:
            silent = FAULTS.silent_publishes > 0
            if silent:
                FAULTS.silent_publishes -= 1
                FAULTS.injected["silent_publish"] = FAULTS.injected.get("silent_publish", 0) + 1
        if silent:
            time.sleep(SILENCE_SECONDS)
        return answer

    dynamodb.handle_request = handled
    sns._publish = published


def _happens(kind: str, chance: float) -> bool:
    if not chance:
        return False
    with _lock:
        happens = _random.random() < chance
        if happens:
            FAULTS.injected[kind] = FAULTS.injected.get(kind, 0) + 1
    return happens


def _conflict(request: Any) -> Any:
    reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * len(request["TransactItems"])]
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "injected: Transaction cancelled [TransactionConflict]",
        "CancellationReasons": reasons[: len(request["TransactItems"])],
    }
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()
