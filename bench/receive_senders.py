"""receive.<sender>.cpu_per_webhook: one documented sample of each sender, signed, produced and
flushed to a real broker.

Each side runs in a fresh process, in turn: ours, and the same work by Powertools' event handler,
one HMAC over the body, `json.loads` and `Model(**…)`. The peer's model is made from the sample,
nested as it is nested.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from desireline.adapters.garbage_collection import settle
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import Topic
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.receive.senders import NAMES, load_senders
from desireline.records import Outgoing
from desireline_local.sender_side.samples import Sample, load

WEBHOOKS, WARM, ROUNDS = 300, 30, 3
SECRET = b"benchmark"
TARGET_US = 200
SIGNATURE = "x-peer-signature"
PEER = "Powertools event handler, one HMAC, json.loads, Model(**…)"

Take = Callable[[], None]


class Silent:
    """Clock, secrets and metrics that cost nothing."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def current(self, name: str) -> tuple[bytes, ...]:
        return (SECRET,)

    def refresh(self, name: str) -> bool:
        return False

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


class Anything(BaseModel):
    """The peer's models: what the sample does not name is kept."""

    model_config = ConfigDict(extra="allow")


def measure(bootstrap: str) -> list[dict[str, Any]]:
    """A row for each sender, medians of three rounds."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        for side, rounds in found.items():
            rounds.append(in_a_process("receive_senders", side, bootstrap))
    rows = []
    for name in sorted(NAMES):
        ours, peer = (median(one[name] for one in found[side]) for side in ("ours", "peer"))
        rows.append(
            {
                "name": f"receive.{name}.cpu_per_webhook",
                "value": ours,
                "unit": "µs",
                "peer": PEER,
                "peer_value": peer,
                "target": f"≤ {TARGET_US}",
                "met": ours <= TARGET_US,
            }
        )
    return rows


def in_a_process(module: str, *arguments: str) -> dict[str, float]:
    """What a side measures in a fresh process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def receiver(producer: KafkaProducer, silent: Silent) -> ReceiveWebhook:
    """Our use case, with all senders, as the function has it, on ports without AWS."""
    composed = ReceiveWebhook(
        senders=load_senders(),
        secrets=silent,
        mapper=EventMapper.with_secret(load_plan(), SECRET),
        producer=producer,
        clock=silent,
        wall=silent,
        metrics=silent,
    )
    settle()
    return composed


def chosen(sender: str) -> Sample:
    """Of the samples of which every event is taken the first of the fewest events: what a webhook
    of one event costs is asked, and batches have figures of their own."""
    taken = (one for one in load(sender).samples if one.expects.accepted)
    whole = (one for one in taken if not one.expects.quarantined)
    return min(whole, key=lambda one: one.expects.accepted)


def ours(name: str, producer: KafkaProducer) -> Take:
    """Ours."""
    silent = Silent()
    receive = receiver(producer, silent)
    sent = chosen(name).signed(name, SECRET, silent.now())

    def take() -> None:
        answer = receive(sent)
        assert answer.status == 200, answer

    return take


def peer(name: str, producer: KafkaProducer) -> Take:
    """The same by what one would write with Powertools and pydantic."""
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    app = APIGatewayHttpResolver()
    sent = chosen(name).signed(name, SECRET, Silent().now())
    parse = parser(name)
    first = parse(sent.body)[0]
    model = model_of(name, first) if isinstance(first, dict) else Anything

    @app.post("/webhooks/<sender>")
    def take_webhook(sender: str) -> dict[str, int]:
        body = base64.b64decode(app.current_event.body or "")
        given = app.current_event.headers[SIGNATURE]
        assert hmac.compare_digest(given, hmac.new(SECRET, body, hashlib.sha256).hexdigest())
        events = [model(**one) for one in parse(body)]
        for one in events:
            value = one.model_dump_json().encode()
            producer.produce(Outgoing(Topic.EVENTS_RECEIVED, sender, value))
        producer.produce(Outgoing(Topic.WEBHOOKS_RAW, sender, base64.b64encode(body)))
        producer.flush(10)
        return {"accepted": len(events)}

    event = {
        "version": "2.0",
        "rawPath": f"/webhooks/{name}",
        "headers": {SIGNATURE: hmac.new(SECRET, sent.body, hashlib.sha256).hexdigest()},
        "body": base64.b64encode(sent.body).decode(),
        "isBase64Encoded": True,
        "requestContext": {"http": {"method": "POST", "path": f"/webhooks/{name}"},
                           "stage": "$default"},
    }  # fmt: skip

    def take() -> None:
        answer = app.resolve(event, None)  # type: ignore[arg-type]
        assert answer["statusCode"] == 200, answer

    return take


def parser(name: str) -> Callable[[bytes], list[Any]]:
    """The events of a body: a list, the members of a batch, lines, a form's field, or the body."""
    sender = load_senders([name])[name]

    def parse(body: bytes) -> list[Any]:
        try:
            payload = json.loads(body)
        except json.JSONDecodeError:
            payload = sender.parse(body)
        if isinstance(payload, dict):
            parameters = payload.get("parameters")
            payload = payload.get("batch") or (
                parameters["members"] if isinstance(parameters, dict) else payload
            )
        return payload if isinstance(payload, list) else [payload]

    return parse


def model_of(name: str, value: dict[str, Any]) -> type[BaseModel]:
    """A model as one would write it for this body, nested as it is."""
    fields: Any = {
        key: (_type(f"{name}_{key}", one) | None, None)
        for key, one in value.items()
        if key.isidentifier()
    }
    return create_model(name, __base__=Anything, **fields)


def _type(name: str, value: object) -> Any:
    if isinstance(value, dict):
        return model_of(name, value)
    if isinstance(value, list):
        return list[_type(name, value[0])] if value else list[object]  # type: ignore[misc]
    return object if value is None else type(value)


def main() -> None:
    """One side in this process; its microseconds for each sender as JSON."""
    side, bootstrap = sys.argv[1:3]
    producer = KafkaProducer(bootstrap, "plaintext", probe=Topic.EVENTS_RECEIVED)
    make = {"ours": ours, "peer": peer}[side]
    found = {name: _timed(make(name, producer)) for name in sorted(NAMES)}
    sys.stdout.write(json.dumps(found) + "\n")


def _timed(take: Take) -> float:
    """The process' CPU of one, librdkafka's threads included, in microseconds."""
    for _ in range(WARM):
        take()
    began = time.process_time()
    for _ in range(WEBHOOKS):
        take()
    return (time.process_time() - began) / WEBHOOKS * 1e6


if __name__ == "__main__":
    main()
