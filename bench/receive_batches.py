"""receive.<sender>.cpu_per_batched_event, for senders that send batches; receive.handler_*.

A batch is grown from the sender's documented one to 500 events, or as many as the sender sends at
most, each of a person of its own. Each side runs in a fresh process, in turn, and produces and
flushes to a real broker: ours, and the same by Powertools' event handler, one HMAC, `json.loads`
and `Model(**…)`. The handler's times are of single calls to the whole function, Powertools' logger
and metrics included; its memory is that of the function as it is deployed, its composition root and
AWS's clients included, in a process that has nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from bench import functions
from bench.receive_senders import (
    PEER,
    SECRET,
    SIGNATURE,
    Anything,
    Silent,
    in_a_process,
    model_of,
    parser,
    receiver,
)
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import Function, Topic
from desireline.receive.request import WebhookRequest
from desireline.records import Outgoing
from desireline_local.sender_side.samples import CALLED, load
from desireline_local.sender_side.signing import sign

FUNCTIONS = Path(__file__).parents[1] / "functions"
SIZES = {"direct": 500, "hubspot": 100, "mixpanel": 500, "segment": 500, "sendgrid": 500}
"""Senders of batches, and how many events one is measured with."""

BATCHES, WARM, ROUNDS, CALLS = 10, 2, 3, 400
TARGET_US, LIMIT_MB = 20, 100
VARIED = frozenset(
    {
        *("messageId", "userId", "anonymousId", "previousId", "objectId", "eventId", "sg_event_id"),
        *("fromObjectId", "toObjectId", "sg_message_id", "email", "mixpanel_distinct_id"),
        *("$distinct_id", "distinct_id", "$email"),
    }
)
"""What identifies an event or a person, in their words."""

Event = dict[str, Any]
Take = Callable[[Event], None]


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
    for name in ("handler_p50", "handler_p99"):
        rows.append(
            {
                "name": f"receive.{name}",
                "value": ours[name],
                "unit": "ms",
                "peer": PEER,
                "peer_value": peer[name],
            }
        )
    sample = load("segment").samples[0]
    bodies = [
        ("segment", orjson.dumps({**sample.body, "messageId": f"single-{number}"}))
        for number in range(CALLS)
    ]
    bodies += [(name, batch(name, number)) for name in SIZES for number in range(BATCHES)]
    held = memory(bootstrap, bodies)
    rows.append(
        {
            "name": "receive.handler_memory",
            "value": held,
            "unit": "MB",
            "target": f"≤ {LIMIT_MB}",
            "met": held <= LIMIT_MB,
        }
    )
    return rows


def memory(bootstrap: str, bodies: Iterable[tuple[str, bytes]]) -> float:
    """Megabytes that the deployed function holds at most while it receives senders' bodies."""
    secret = functions.SECRET.encode()
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events"
        events.write_bytes(
            b"\n".join(orjson.dumps(gateway_event(*one, secret=secret)) for one in bodies)
        )
        # X-Ray's library asks whether it is on Lambda; elsewhere it holds 20 MB for its sampling.
        said = functions.run(
            Function.RECEIVE_WEBHOOK,
            _RECEIVING,
            str(events),
            KAFKA_BOOTSTRAP=bootstrap,
            LAMBDA_TASK_ROOT="/var/task",
        )
    return float(said.splitlines()[-1])


_RECEIVING = """
import json, pathlib, re, sys
from receive_webhook.handler import handle
class Context:
    function_name, memory_limit_in_mb, aws_request_id = "bench", 512, "1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:bench"
    def get_remaining_time_in_millis(self):
        return 15000
with open(sys.argv[1]) as events:
    for event in events:
        answer = handle(json.loads(event), Context())
        assert answer["statusCode"] == 200, answer
# Not getrusage's, which knows what the parent held when it started this process.
print(int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1000)
"""


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

    def take(event: Event) -> None:
        answer = handler.handle(event, Context())
        assert answer["statusCode"] == 200, answer

    return take


def peer(producer: KafkaProducer) -> Take:
    """The same by what one would write with Powertools and pydantic, under the same decorators."""
    from aws_lambda_powertools import Logger, Metrics, Tracer
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
    from aws_lambda_powertools.metrics import MetricUnit

    app, metrics = APIGatewayHttpResolver(), Metrics(namespace="Peer")
    models: dict[str, Any] = {}
    parsers: dict[str, Callable[[bytes], list[Any]]] = {}

    @app.post("/webhooks/<sender>")
    def take_webhook(sender: str) -> dict[str, int]:
        body = base64.b64decode(app.current_event.body or "")
        given = app.current_event.headers[SIGNATURE]
        assert hmac.compare_digest(given, hmac.new(SECRET, body, hashlib.sha256).hexdigest())
        model = models[sender]
        events = [model(**one) for one in parsers[sender](body)]
        for place, one in enumerate(events):
            value = one.model_dump_json().encode()
            # Each is of a person of its own, by whom ours are keyed.
            producer.produce(Outgoing(Topic.EVENTS_RECEIVED, f"{sender}-{place}", value))
        producer.produce(Outgoing(Topic.WEBHOOKS_RAW, sender, base64.b64encode(body)))
        producer.flush(10)
        metrics.add_metric("webhooks_accepted", MetricUnit.Count, 1)
        return {"accepted": len(events)}

    @Logger().inject_lambda_context
    @Tracer().capture_lambda_handler(capture_response=False)
    @metrics.log_metrics
    def handle(event: Event, context: Any) -> dict[str, Any]:
        return app.resolve(event, context)

    def take(event: Event) -> None:
        name = event["pathParameters"]["source"]
        if name not in models:
            parsers[name] = parser(name)
            first = parsers[name](base64.b64decode(event["body"]))[0]
            models[name] = model_of(name, first) if isinstance(first, dict) else Anything
        answer = handle(event, Context())
        assert answer["statusCode"] == 200, answer

    return take


def bare(producer: KafkaProducer) -> Take:
    """Two produces and a flush of the same bytes: what no receiver can do without."""

    def take(event: Event) -> None:
        body = base64.b64decode(event["body"])
        producer.produce(Outgoing(Topic.EVENTS_RECEIVED, "bare", body))
        producer.produce(Outgoing(Topic.WEBHOOKS_RAW, "bare", body))
        producer.flush(10)

    return take


class Context:
    """Lambda's."""

    function_name = "receive_webhook"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:receive_webhook"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def gateway_event(name: str, body: bytes, secret: bytes = SECRET) -> Event:
    """What the gateway hands over of a body that is signed for both sides."""
    url = f"{CALLED}{name}"
    headers = sign(name, body, secret, Silent().now(), url=url)
    return event_of(WebhookRequest(name, headers, body, url=url), secret)


def event_of(request: WebhookRequest, secret: bytes = SECRET) -> Event:
    """The same of a signed request."""
    url = urlsplit(request.url)
    signature = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
    return {
        "version": "2.0",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "pathParameters": {"source": request.source},
        "headers": {**request.headers, SIGNATURE: signature},
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
        "requestContext": {
            "http": {"method": "POST", "path": url.path, "sourceIp": "203.0.113.7"},
            "domainName": url.hostname,
            "stage": "$default",
        },
    }


def _cpu(take: Take, name: str) -> float:
    """The process' CPU of one event, librdkafka's threads included, in microseconds."""
    sent = [gateway_event(name, batch(name, number)) for number in range(BATCHES + WARM)]
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
        one = gateway_event(
            "segment", orjson.dumps({**sample.body, "messageId": f"single-{number}"})
        )
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
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
