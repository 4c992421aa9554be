"""Turn touches into deliveries: with delays, duplicates, batches, late ones and two bad ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

from desireline_learning.simulator.scenario import HOUR, Scenario
from desireline_learning.simulator.senders import iso, segment_message, stripe_event
from desireline_learning.simulator.touches import Call, Touch

BATCH_LIMIT = 20


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One HTTP request that a sender makes.

    at_ms: journey time of its arrival. body: the bytes to sign and post. forged: sign it with a
    wrong secret. subject_hint: names the journey; deliveries with one hint must stay in order.
    """

    at_ms: int
    source: str
    body: bytes
    forged: bool = False
    subject_hint: str = ""

    @property
    def at(self) -> int:
        """at_ms, under the name that the driver of virtual time uses."""
        return self.at_ms

    @property
    def subject(self) -> str:
        """subject_hint, under the name that the driver of virtual time uses."""
        return self.subject_hint

    @property
    def order(self) -> tuple[int, str, bytes]:
        """The sort key: arrival, then hint and body, so that the order is total."""
        return (self.at_ms, self.subject_hint, self.body)


def deliveries(scenario: Scenario, touches: Iterable[Touch]) -> list[Delivery]:
    """Return all deliveries by arrival. Each touch is in at least one."""
    single, sessions = _split(scenario, touches)
    result: list[Delivery] = []
    for touch in single:
        result += _deliver(scenario, [touch])
    for session in sessions:
        for start in range(0, len(session), BATCH_LIMIT):
            result += _deliver(scenario, session[start : start + BATCH_LIMIT])
    if scenario.bad_deliveries:
        result += _bad(scenario)
    return sorted(result, key=lambda delivery: delivery.order)


def _split(scenario: Scenario, touches: Iterable[Touch]) -> tuple[list[Touch], list[list[Touch]]]:
    single: list[Touch] = []
    sessions: dict[str, list[Touch]] = defaultdict(list)
    for touch in sorted(touches, key=lambda touch: touch.order):
        key = touch.session
        if key is not None and _rng(scenario, "batch", key).random() < scenario.batched_session:
            sessions[key].append(touch)
        else:
            single.append(touch)
    return single, [sessions[key] for key in sorted(sessions)]


def _deliver(scenario: Scenario, touches: Sequence[Touch]) -> list[Delivery]:
    rng = _rng(scenario, "deliver", touches[0].id)
    last = max(touch.at for touch in touches)
    stripe = touches[0].call is Call.STRIPE
    delay = 200 + int(rng.expovariate(1 / 1500))
    if rng.random() < scenario.late_delivery:
        delay = int(rng.uniform(1, 30) * HOUR)
    if len(touches) > 1:
        messages = [segment_message(touch) for touch in touches]
        body: dict[str, Any] = {"batch": messages, "sentAt": messages[-1]["timestamp"]}
    else:
        body = stripe_event(touches[0]) if stripe else segment_message(touches[0])
    first = Delivery(
        at_ms=min(last + delay, scenario.end),
        source="stripe" if stripe else "segment",
        body=orjson.dumps(body),
        subject_hint=touches[0].person.hint,
    )
    if rng.random() >= scenario.duplicate_delivery:
        return [first]
    wait = rng.uniform(5_000, 120_000) if rng.random() < 0.7 else rng.uniform(1, 20) * HOUR
    return [first, replace(first, at_ms=min(first.at_ms + int(wait), scenario.end))]


def _bad(scenario: Scenario) -> list[Delivery]:
    """Return a forged request, and an event that breaks the tracking plan.

    Neither may become an event."""
    middle = scenario.start + (scenario.end - scenario.start) // 2
    label = f"{scenario.seed:x}"
    forged = _stray(f"forged-{label}", middle, "Project Created", {"project_name": "not ours"})
    broken = _stray(f"broken-{label}", middle + HOUR, "Integration Connected", {})
    return [
        Delivery(
            at_ms=middle + 1000,
            source="segment",
            body=orjson.dumps(forged),
            forged=True,
            subject_hint=f"forged-{label}",
        ),
        Delivery(
            at_ms=middle + HOUR + 1000,
            source="segment",
            body=orjson.dumps(broken),
            subject_hint=f"broken-{label}",
        ),
    ]


def _stray(key: str, at: int, event: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"msg-{key}",
        "timestamp": iso(at),
        "userId": f"u_{key}",
        "event": event,
        "properties": properties,
        "context": {"ip": "198.18.0.1", "userAgent": "curl/8.9"},
    }


def _rng(scenario: Scenario, *names: str) -> Random:
    return Random("|".join([str(scenario.seed), *names]))
