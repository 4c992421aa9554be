"""receive.<sender>.cpu_per_webhook: one documented sample of each sender, signed, produced and
flushed to a real broker.

Three sides run in one process, in turn: our whole handler; the same work by Powertools' event
handler, one HMAC over the body, `json.loads` and `Model(**…)`, with the same decorators; and the
bare two produces and a flush. The peer's model is made from the sample, nested as it is nested.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
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
from desireline_local.sender_side.samples import Sample, load

WEBHOOKS, WARM, ROUNDS = 100, 20, 5
"""Webhooks of a side and round."""
SECRET = b"benchmark"
SIDES = ("ours", "peer", "bare")
SIGNATURE = "x-peer-signature"
PEER = "Powertools event handler, one HMAC, json.loads, Model(**…)"


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
    """Rows for each sender, medians of the rounds."""
    found = in_a_process("receive_senders", bootstrap)
    return [
        row
        for name in sorted(NAMES)
        for row in three_sides(
            f"{name}.cpu_per_webhook", {side: found[f"{name}.{side}"] for side in SIDES}
        )
    ]


def three_sides(name: str, microseconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Ours beside the peer, the bare, and what ours adds to the bare, in shares of it."""
    ours, bare = microseconds["ours"], microseconds["bare"]
    return [
        {"name": f"receive.{name}", "value": ours, "unit": "µs", "peer": PEER,
         "peer_value": microseconds["peer"]},
        {"name": f"receive.{name}.bare", "value": bare, "unit": "µs"},
        {"name": f"receive.{name}.over_bare", "value": (ours - bare) / bare,
         "unit": "of the bare"},
    ]  # fmt: skip


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
    """All sides in this process; microseconds of each sender and side as JSON."""
    from bench.receive_batches import bare, event_of, ours, peer

    producer = KafkaProducer(sys.argv[1], "plaintext", probe=Topic.EVENTS_RECEIVED)
    found: dict[str, float] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        # Powertools writes metrics and logs to it, as in the function.
        takes = {"ours": ours(producer), "peer": peer(producer), "bare": bare(producer)}
        for name in sorted(NAMES):
            event = event_of(chosen(name).signed(name, SECRET, Silent().now()))
            for take in takes.values():
                repeated(take, event, WARM)
            rounds: dict[str, list[float]] = {side: [] for side in SIDES}
            for _ in range(ROUNDS):
                for side, take in takes.items():
                    rounds[side].append(repeated(take, event, WEBHOOKS))
            found |= {f"{name}.{side}": median(rounds[side]) for side in SIDES}
    sys.stdout.write(json.dumps(found) + "\n")


def repeated(take: Callable[[Any], None], event: Any, times: int) -> float:
    """The process' CPU of one, librdkafka's threads included, in microseconds."""
    began = time.process_time()
    for _ in range(times):
        take(event)
    return (time.process_time() - began) / times * 1e6


if __name__ == "__main__":
    main()
