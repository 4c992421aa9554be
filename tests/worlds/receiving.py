"""Receive with all its ports in memory, and signed requests for it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent, Quarantined
from desireline.identity.aliases import Fragments
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.receive.suppress import Objections
from desireline.records import Outgoing
from desireline_local.sender_side.samples import CALLED
from desireline_local.sender_side.signing import sign

NOW = 1_767_571_200_000
SECRET, NEXT = b"first secret", b"second secret"
PLAN = load_plan()


class Suppressed:
    """Whom the world suppresses; None: it cannot be known."""

    def __init__(self, world: World) -> None:
        self._world = world

    def current(self) -> frozenset[str]:
        if self._world.suppressed is None:
            raise UnavailableError("no list")
        return self._world.suppressed


class World:
    """All ports in memory: records are durable at the flush."""

    def __init__(self, plan: TrackingPlan = PLAN) -> None:
        self.suppressed: frozenset[str] | None = frozenset()
        self.fragments = Fragments(b"namespace")
        self.store = MemoryStore()
        self.pending: list[Outgoing] = []
        self.durable: list[Outgoing] = []
        self.broken = False
        self.waited = 0.0
        self.values: tuple[bytes, ...] = (SECRET,)
        self.stored: tuple[bytes, ...] = (SECRET,)
        self.refreshes = 1
        self.counts: Counter[str] = Counter()
        self.receive = ReceiveWebhook(
            senders=load_senders(),
            secrets=self,
            mapper=EventMapper(Canonical(plan, self.fragments), plan.version, Suppressed(self)),
            producer=self,
            clock=self,
            wall=self,
            metrics=self,
            objections=Objections(self.store, self),
        )

    def produce(self, record: Outgoing) -> None:
        self.pending.append(record)

    def flush(self, timeout: float) -> None:
        self.waited = timeout
        if self.broken:
            raise UnavailableError("no broker")
        self.durable += self.pending
        self.pending = []

    def current(self, name: str) -> tuple[bytes, ...]:
        return self.values

    def refresh(self, name: str) -> bool:
        if not self.refreshes:
            return False
        self.refreshes -= 1
        self.values = self.stored
        return True

    def now(self) -> int:
        return NOW

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.counts[f"{name}:{dimensions.get('reason', '')}"] += value

    def of(self, topic: Topic) -> list[Outgoing]:
        return [record for record in self.durable if record.topic == topic]

    def events(self) -> list[CanonicalEvent]:
        return [CanonicalEvent.decode(one.value) for one in self.of(Topic.EVENTS_RECEIVED)]

    def quarantined(self) -> list[Quarantined]:
        return [Quarantined.decode(one.value) for one in self.of(Topic.EVENTS_QUARANTINED)]


def request(
    source: str, body: bytes, secret: bytes = SECRET, at: int = NOW, **headers: str
) -> WebhookRequest:
    url = f"{CALLED}{source}"
    signed = sign(source, body, secret, at, url=url, headers=headers)
    return WebhookRequest(source, {**signed, **headers}, body, url=url)


def track(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"m{number}",
        "timestamp": "2026-01-05T00:00:00Z",
        "userId": "u1",
        "event": "Project Created",
        "properties": {"project_name": "one"},
        "context": {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0 (secret)"},
        **fields,
    }


def segment(*calls: dict[str, Any], secret: bytes = SECRET) -> WebhookRequest:
    payload: Any = calls[0] if len(calls) == 1 else {"batch": list(calls)}
    return request("segment", orjson.dumps(payload), secret)
