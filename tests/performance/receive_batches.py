"""receive.<sender>.cpu_per_batched_event, for senders that send batches; receive.handler_*.

A batch is grown from the sender's documented one to 500 events, or as many as the sender sends at
most, each of a person of its own. Each side runs in a fresh process, in turn, and produces and
flushes to a real broker: ours, and the same by Powertools' event handler, one HMAC, `json.loads`
and `Model(**…)`. The handler's times are of single calls to the whole function, Powertools' logger
and metrics included.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson

from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import Topic
from desireline.receive.request import WebhookRequest
from desireline.records import Outgoing
from desireline_local.samples import CALLED, load
from desireline_local.signing import sign
from tests.performance.receive_senders import (
    PEER,
    SECRET,
    SIGNATURE,
    Silent,
    in_a_process,
    model_of,
    parser,
    receiver,
)

FUNCTIONS = Path(__file__).parents[2] / "functions"
SIZES = {"direct": 500, "hubspot": 100, "mixpanel": 500, "segment": 500, "sendgrid": 500}
"""Senders of batches, and how many events one is measured with."""

BATCHES, WARM, ROUNDS, CALLS = 10, 2, 3, 400
TARGET_US = 20
VARIED = frozenset(
    {
        *("messageId", "userId", "anonymousId", "previousId", "objectId", "eventId", "sg_event_id"),
        *("fromObjectId", "toObjectId", "sg_message_id", "email", "mixpanel_distinct_id"),
        *("$distinct_id", "distinct_id", "$email"),
    }
)
"""What identifies an event or a person, in their words."""

Take = Callable[[WebhookRequest], None]


def measure(bootstrap: str) -> list[dict[str, Any]]:
    """The rows, medians of three rounds."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        for side, rounds in found.items():
            rounds.append(in_a_process("receive_batches", side, bootstrap))
    ours, peer = (
        {name: median(one[name] for one in found[side]) for name in found[side][0]}
        for side in ("ours", "peer")
    )
    rows: list[dict[str, Any]] = [
        {
            "name": f"receive.{name}.cpu_per_batched_event",
            "value": ours[name],
            "unit": "µs",
            "peer": PEER,
            "peer_value": peer[name],
            "target": f"≤ {TARGET_US}",
            "met": ours[name] <= TARGET_US,
        }
        for name in sorted(SIZES)
    ]
    for name, unit in (("handler_p50", "ms"), ("handler_p99", "ms"), ("handler_memory", "MB")):
        rows.append(
            {
                "name": f"receive.{name}",
                "value": ours[name],
                "unit": unit,
                "peer": PEER,
                "peer_value": peer[name],
            }
        )
    return rows


def batch(name: str, number: int) -> bytes:
    """The sender's documented batch, grown; number: of the batch, for no two share an id."""
    samples = [one for one in load(name).samples if not one.expects.quarantined]
    sample = max(samples, key=lambda one: one.expects.accepted)
    body = json.loads(sample.content)
    if name == "segment":
        body = {"batch": [body]}
    items, size = _items(body), SIZES[name]
    grown = [
        _varied(items[place % len(items)], f"{number}{place // len(items):03}")
        for place in range(size)
    ]
    items[:] = grown
    return orjson.dumps(body)


def _items(body: Any) -> list[Any]:
    """Where in a body its events are."""
    found = body
    if isinstance(body, dict):
        found = body["batch"] if "batch" in body else body["parameters"]["members"]
    assert isinstance(found, list)
    return found


def _varied(item: dict[str, Any], suffix: str) -> dict[str, Any]:
    """The event, of somebody else."""
    return {
        key: (int(f"{value}{suffix}") % 2**53 if isinstance(value, int) else f"{suffix}{value}")
        if key in VARIED and isinstance(value, int | str)
        else value
        for key, value in item.items()
    }


def ours(producer: KafkaProducer) -> Take:
    """Our function, as the gateway calls it, on a use case without AWS."""
    from aws_lambda_powertools.metrics import MetricUnit

    sys.path.insert(0, str(FUNCTIONS))
    from receive_webhook import handler

    class Counting(Silent):
        def count(self, name: str, value: int = 1, **dimensions: str) -> None:
            handler.metrics.add_metric(name, MetricUnit.Count, value)

    receive = receiver(producer, Counting())
    handler.use_case = lambda: receive  # type: ignore[assignment]

    def take(request: WebhookRequest) -> None:
        answer = handler.handle(_event(request), Context())  # type: ignore[arg-type]
        assert answer["statusCode"] == 200, answer

    return take


def peer(producer: KafkaProducer) -> Take:
    """The same by what one would write with Powertools and pydantic."""
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    app = APIGatewayHttpResolver()
    models: dict[str, Any] = {}
    parsers: dict[str, Callable[[bytes], list[Any]]] = {}

    @app.post("/webhooks/<sender>")
    def take_webhook(sender: str) -> dict[str, int]:
        body = base64.b64decode(app.current_event.body or "")
        given = app.current_event.headers[SIGNATURE]
        assert hmac.compare_digest(given, hmac.new(SECRET, body, hashlib.sha256).hexdigest())
        model = models[sender]
        events = [model(**one) for one in parsers[sender](body)]
        for one in events:
            value = one.model_dump_json().encode()
            producer.produce(Outgoing(Topic.EVENTS_RECEIVED, sender, value))
        producer.produce(Outgoing(Topic.WEBHOOKS_RAW, sender, base64.b64encode(body)))
        producer.flush(10)
        return {"accepted": len(events)}

    def take(request: WebhookRequest) -> None:
        name = request.source
        if name not in models:
            parsers[name] = parser(request)
            models[name] = model_of(name, parsers[name](request.body)[0])
        signed = {SIGNATURE: request.headers[SIGNATURE]}
        answer = app.resolve(_event(request, signed), Context())  # type: ignore[arg-type]
        assert answer["statusCode"] == 200, answer

    return take


class Context:
    """Lambda's."""

    function_name = "receive_webhook"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:receive_webhook"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def _event(request: WebhookRequest, headers: dict[str, str] | None = None) -> dict[str, Any]:
    path = f"/webhooks/{request.source}"
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "pathParameters": {"source": request.source},
        "headers": headers or dict(request.headers),
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
        "requestContext": {
            "http": {"method": "POST", "path": path, "sourceIp": "203.0.113.7"},
            "domainName": "receive.example.com",
            "stage": "$default",
        },
    }


def _signed(name: str, body: bytes) -> WebhookRequest:
    """Signed for both sides."""
    url = f"{CALLED}{name}"
    headers = sign(name, body, SECRET, Silent().now(), url=url)
    headers[SIGNATURE] = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    return WebhookRequest(name, headers, body, url=url)


def _cpu(take: Take, name: str) -> float:
    """The process' CPU of one event, librdkafka's threads included, in microseconds."""
    sent = [_signed(name, batch(name, number)) for number in range(BATCHES + WARM)]
    for one in sent[:WARM]:
        take(one)
    began = time.process_time()
    for one in sent[WARM:]:
        take(one)
    return (time.process_time() - began) / (BATCHES * SIZES[name]) * 1e6


def _walls(take: Take) -> Iterator[float]:
    """Milliseconds of each of many single calls."""
    sample = load("segment").samples[0]
    for number in range(CALLS + 20):
        body = orjson.dumps({**sample.body, "messageId": f"single-{number}"})
        one = _signed("segment", body)
        began = time.perf_counter()
        take(one)
        if number >= 20:
            yield (time.perf_counter() - began) * 1000


def main() -> None:
    """One side in this process; its figures as JSON on the last line."""
    side, bootstrap = sys.argv[1:3]
    producer = KafkaProducer(bootstrap, "plaintext", probe=Topic.EVENTS_RECEIVED)
    with contextlib.redirect_stdout(io.StringIO()):
        # Powertools writes metrics and logs to it, as in the function.
        take = {"ours": ours, "peer": peer}[side](producer)
        walls = list(_walls(take))
        found = {name: _cpu(take, name) for name in sorted(SIZES)}
    found |= {
        "handler_p50": float(np.percentile(walls, 50)),
        "handler_p99": float(np.percentile(walls, 99)),
        "handler_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
