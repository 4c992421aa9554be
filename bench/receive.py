"""receive.*: one signed webhook and batches of 500, produced and flushed to a real broker.

Three sides run in one process, in turn: our whole handler; the same work by Powertools' event
handler, one HMAC, `json.loads` and `Model(**…)`; and the bare two produces and a flush. Memory is
that of the function as it is deployed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel

from bench import receive_batches, receive_senders
from bench.receive_senders import PEER, SIDES, in_a_process
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import TOPICS, Topic
from desireline_local.kafka.broker import Kafka, create_topics

SINGLES, BATCHES, BATCH, ROUNDS = 400, 12, 500, 3
BARE = "a bare produce and flush of the same bytes"


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
        figures = in_a_process("receive", kafka.bootstrap)
        singles, batches = _bodies()
        held = receive_batches.memory(
            kafka.bootstrap, [("segment", body) for body in (*singles, *batches)]
        )
        by_sender = receive_senders.measure(kafka.bootstrap)
        by_sender += receive_batches.measure(kafka.bootstrap)
    batched, walls = figures["ours.batched"], (figures["ours.p50"], figures["bare.p50"])
    return [
        *receive_senders.three_sides(
            "cpu_per_webhook", {side: figures[f"{side}.single"] for side in SIDES}
        ),
        _row("cpu_per_batched_event", batched, "µs", PEER, figures["peer.batched"], "≤ 20",
             batched <= 20),
        _row("wall_p50", figures["ours.p50"], "ms", BARE, figures["bare.p50"],
             "≤ 1.5 times the bare flush", walls[0] <= 1.5 * walls[1]),
        _row("wall_p99", figures["ours.p99"], "ms", BARE, figures["bare.p99"], None, None),
        _row("memory", held, "MB", None, None, "≤ 100", held <= 100),
        *by_sender,
    ]  # fmt: skip


def _row(*parts: Any) -> dict[str, Any]:
    names = ("name", "value", "unit", "peer", "peer_value", "target", "met")
    row = dict(zip(names, parts, strict=True))
    return {**row, "name": f"receive.{row['name']}"}


def main() -> None:
    """All sides in this process; their figures as JSON."""
    producer = KafkaProducer(sys.argv[1], "plaintext", probe=Topic.EVENTS_RECEIVED)
    singles, batches = (
        [receive_batches.gateway_event("segment", body) for body in bodies] for bodies in _bodies()
    )
    figures: dict[str, list[float]] = defaultdict(list)
    with contextlib.redirect_stdout(io.StringIO()):
        # Powertools writes metrics and logs to it, as in the function.
        takes = {side: getattr(receive_batches, side)(producer) for side in SIDES}
        for take in takes.values():
            _timed(take, [*singles[:20], batches[0]])
        for _ in range(ROUNDS):
            for side, take in takes.items():
                walls, cpu = _timed(take, singles)
                figures[f"{side}.single"].append(cpu / len(singles) * 1e6)
                figures[f"{side}.p50"].append(float(np.percentile(walls, 50)) * 1000)
                figures[f"{side}.p99"].append(float(np.percentile(walls, 99)) * 1000)
                _, cpu = _timed(take, batches[1:])
                figures[f"{side}.batched"].append(cpu / ((BATCHES - 1) * BATCH) * 1e6)
    medians = {name: median(values) for name, values in figures.items()}
    sys.stdout.write(json.dumps(medians) + "\n")


def _bodies() -> tuple[list[bytes], list[bytes]]:
    """Single calls, and batches."""
    singles = [orjson.dumps(call(number)) for number in range(SINGLES)]
    batches = [
        orjson.dumps({"batch": [call(n * BATCH + i) for i in range(BATCH)]}) for n in range(BATCHES)
    ]
    return singles, batches


def _timed(take: receive_batches.Take, events: list[Any]) -> tuple[list[float], float]:
    """Wall seconds of each, and the process' CPU seconds of all, librdkafka's threads included."""
    walls = []
    began = time.process_time()
    for event in events:
        start = time.perf_counter()
        take(event)
        walls.append(time.perf_counter() - start)
    return walls, time.process_time() - began


if __name__ == "__main__":
    main()
