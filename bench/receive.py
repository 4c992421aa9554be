"""receive.*: one signed webhook and batches of 500, produced and flushed to a real broker.

Each side runs in a fresh process, in turn: ours, and the same work by Powertools' event handler,
`json.loads` and `Model(**…)`. Memory is that of the function as it is deployed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel

from bench import receive_batches, receive_senders
from bench.receive_senders import SECRET, Silent, in_a_process, receiver
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import TOPICS, Topic
from desireline.receive.request import WebhookRequest
from desireline.records import Outgoing
from desireline_local.kafka.broker import Kafka, create_topics
from desireline_local.sender_side.signing import sign

SINGLES, BATCHES, BATCH, ROUNDS = 400, 12, 500, 3


class Call(BaseModel):
    """What the peer validates."""

    type: str
    messageId: str  # noqa: N815 — the sender's name
    timestamp: str
    userId: str  # noqa: N815 — the sender's name
    event: str
    properties: dict[str, Any]
    context: dict[str, Any]


def call(number: int) -> dict[str, Any]:
    """A Segment call of about 0.5 KB."""
    return {
        "type": "track",
        "messageId": f"m{number}",
        "timestamp": "2026-01-05T10:00:00.000Z",
        "userId": f"u{number % 200}",
        "anonymousId": f"9f8b9085-e9ae-46cd-901c-{number % 200:012d}",
        "event": "Feature Used",
        "properties": {"feature_name": "board", "engagement_depth": 3},
        "context": {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0", "groupId": f"g{number % 50}"},
    }


def measure() -> list[dict[str, Any]]:
    """The rows, medians of three rounds."""
    with tempfile.TemporaryDirectory() as folder, Kafka(Path(folder)) as kafka:
        create_topics(
            kafka.bootstrap, {topic.value: TOPICS[topic].partitions_dev for topic in TOPICS}
        )
        rounds: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for _ in range(ROUNDS):
            for side, found in rounds.items():
                found.append(in_a_process("receive", side, kafka.bootstrap))
        singles, batches = _bodies()
        held = receive_batches.memory(
            kafka.bootstrap, [("segment", body) for body in (*singles, *batches)]
        )
        by_sender = receive_senders.measure(kafka.bootstrap)
        by_sender += receive_batches.measure(kafka.bootstrap)
    ours, peer = (
        {name: median(one[name] for one in found) for name in found[0]}
        for found in (rounds["ours"], rounds["peer"])
    )
    by = "Powertools event handler, json.loads, Model(**…)"
    single, batched = ours["single"], ours["batched"]
    bare = "a bare produce and flush of the same bytes"
    return [
        _row("cpu_per_webhook", single, "µs", by, peer["single"], "≤ 200, and ≤ half the peer",
             single <= min(200, peer["single"] / 2)),
        _row("cpu_per_batched_event", batched, "µs", by, peer["batched"], "≤ 20", batched <= 20),
        _row("wall_p50", ours["wall_p50"], "ms", bare, ours["bare_p50"],
             "≤ 1.5 times the bare flush", ours["wall_p50"] <= 1.5 * ours["bare_p50"]),
        _row("wall_p99", ours["wall_p99"], "ms", bare, ours["bare_p99"], None, None),
        _row("memory", held, "MB", None, None, "≤ 100", held <= 100),
        *by_sender,
    ]  # fmt: skip


def _row(*parts: Any) -> dict[str, Any]:
    names = ("name", "value", "unit", "peer", "peer_value", "target", "met")
    row = dict(zip(names, parts, strict=True))
    return {**row, "name": f"receive.{row['name']}"}


def _ours(producer: KafkaProducer) -> Callable[[bytes], None]:
    receive = receiver(producer, Silent())
    signed: dict[int, dict[str, str]] = {}

    def take(body: bytes) -> None:
        answer = receive(WebhookRequest("segment", signed[id(body)], body))
        assert answer.status == 200, answer

    take.sign = lambda body: signed.__setitem__(id(body), sign("segment", body, SECRET, 0))  # type: ignore[attr-defined]
    return take


def _peer(producer: KafkaProducer) -> Callable[[bytes], None]:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    app = APIGatewayHttpResolver()
    digests: dict[int, str] = {}

    @app.post("/webhooks/segment")
    def take_webhook() -> dict[str, int]:
        body = base64.b64decode(app.current_event.body or "")
        given = app.current_event.headers["x-signature"]
        assert hmac.compare_digest(given, hmac.new(SECRET, body, hashlib.sha1).hexdigest())
        payload = json.loads(body)
        calls = [Call(**one) for one in payload.get("batch", [payload])]
        for one in calls:
            value = one.model_dump_json().encode()
            producer.produce(Outgoing(Topic.EVENTS_RECEIVED, one.userId, value))
        producer.produce(Outgoing(Topic.WEBHOOKS_RAW, "segment", base64.b64encode(body)))
        producer.flush(10)
        return {"accepted": len(calls)}

    def take(body: bytes) -> None:
        event = {
            "version": "2.0",
            "rawPath": "/webhooks/segment",
            "headers": {"x-signature": digests[id(body)]},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
            "requestContext": {"http": {"method": "POST", "path": "/webhooks/segment"},
                               "stage": "$default"},
        }  # fmt: skip
        answer = app.resolve(event, None)  # type: ignore[arg-type]
        assert answer["statusCode"] == 200, answer

    take.sign = lambda body: digests.__setitem__(  # type: ignore[attr-defined]
        id(body), hmac.new(SECRET, body, hashlib.sha1).hexdigest()
    )
    return take


def main() -> None:
    """One side in this process; its figures as JSON."""
    side, bootstrap = sys.argv[1:3]
    producer = KafkaProducer(bootstrap, "plaintext", probe=Topic.EVENTS_RECEIVED)
    take: Any = {"ours": _ours, "peer": _peer}[side](producer)
    singles, batches = _bodies()
    for body in (*singles, *batches):
        take.sign(body)
    for body in (*singles[:20], batches[0]):
        take(body)
    walls, cpu = _timed(take, singles)
    _, batched = _timed(take, batches[1:])
    bare, _ = _timed(lambda body: _bare(producer, body), singles)
    sys.stdout.write(
        json.dumps(
            {
                "single": cpu / len(singles) * 1e6,
                "batched": batched / ((BATCHES - 1) * BATCH) * 1e6,
                "wall_p50": float(np.percentile(walls, 50)) * 1000,
                "wall_p99": float(np.percentile(walls, 99)) * 1000,
                "bare_p50": float(np.percentile(bare, 50)) * 1000,
                "bare_p99": float(np.percentile(bare, 99)) * 1000,
            }
        )
        + "\n"
    )


def _bodies() -> tuple[list[bytes], list[bytes]]:
    """Single calls, and batches."""
    singles = [orjson.dumps(call(number)) for number in range(SINGLES)]
    batches = [
        orjson.dumps({"batch": [call(n * BATCH + i) for i in range(BATCH)]}) for n in range(BATCHES)
    ]
    return singles, batches


def _bare(producer: KafkaProducer, body: bytes) -> None:
    producer.produce(Outgoing(Topic.EVENTS_RECEIVED, "bare", body))
    producer.produce(Outgoing(Topic.WEBHOOKS_RAW, "segment", body))
    producer.flush(10)


def _timed(take: Callable[[bytes], None], bodies: list[bytes]) -> tuple[list[float], float]:
    """Wall seconds of each, and the process' CPU seconds of all, librdkafka's threads included."""
    walls = []
    began = time.process_time()
    for body in bodies:
        start = time.perf_counter()
        take(body)
        walls.append(time.perf_counter() - start)
    return walls, time.process_time() - began


if __name__ == "__main__":
    main()
