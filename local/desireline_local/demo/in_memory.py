"""The whole pipeline in memory: the real use cases on in-memory ports, under a clock that is moved.

A world for `drive`, as the running cloud is: the demo holds the cloud's decisions to this one's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import desireline_models
from desireline.adapters.memory import MemoryStore
from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import Channel, Topic
from desireline.events import ClaimReference
from desireline.intervene.check_playbook import CheckPlaybook
from desireline.intervene.deliver_action import DeliverAction
from desireline.intervene.playbook.playbooks import load
from desireline.intervene.start_interventions import StartInterventions
from desireline.plan.tracking_plan import load_plan
from desireline.ports import Alert
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.records import Outgoing, Record
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.score.features import FEATURE_NAMES
from desireline.score.models.package import load_model
from desireline.score.score_journey import ScoreJourneys
from desireline_local.demo.ledger import Decided, decided
from desireline_local.sender_side.signing import sign
from desireline_operate.paths import PROJECT

MODEL = Path(desireline_models.__file__).parent / "trial"
SECRET = b"in memory"
WALL = 1_760_000_000_000
"""In memory the wall stands still: nothing that is compared depends on it."""


class InMemoryPipeline:
    """namespace: the secret that names fragments; with the cloud's own, subjects have equal ids.
    start: journey time, epoch ms."""

    def __init__(self, *, namespace: bytes, start: int) -> None:
        self.store = MemoryStore()
        self.topics = Topics()
        self.clock = MovedClock(start)
        self.alerts: list[Alert] = []
        self.statuses: list[int] = []
        self._queue: list[str] = []
        self._waiting: dict[str, int] = {}
        self._started: set[str] = set()
        self._compose(namespace)

    def post(self, deliveries: Sequence[Any]) -> None:
        """Take these webhooks, signed as their senders sign."""
        for delivery in deliveries:
            secret = b"not the secret" if delivery.forged else SECRET
            headers = sign(delivery.source, delivery.body, secret, WALL)
            request = WebhookRequest(delivery.source, headers, delivery.body)
            self.statuses.append(self._receive(request).status)

    def settle(self) -> None:
        """Work until nothing is in flight and every execution waits for its time."""
        while self._records() + self._changes() + self._messages() + self._checks():
            pass

    def next_due(self) -> int | None:
        """The earliest time that an execution waits for."""
        return min(self._waiting.values(), default=None)

    def advance(self, to: int) -> None:
        """Move journey time; it never goes back."""
        self.clock.at = max(self.clock.at, to)

    def decisions(self) -> list[Decided]:
        """The ledger, in a form that can be compared."""
        return decided(self.store.rows.values())

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        """The workflow port: an execution checks at once."""
        if name not in self._started:
            self._started.add(name)
            self._waiting[payload["enrolment"]] = self.clock.at

    def stop(self, *, name: str, cause: str) -> None:
        """The workflow port; nothing in memory runs by itself."""

    def put(self, body: str) -> None:
        """The queue port."""
        self._queue.append(body)

    def send(self, alert: Alert) -> str:
        """The sender port."""
        self.alerts.append(alert)
        return f"alert-{len(self.alerts)}"

    def _compose(self, namespace: bytes) -> None:
        wall, silent = MovedClock(WALL), Silent()
        model, playbooks = load_model(MODEL, features=FEATURE_NAMES), load()
        holdout = holdout_percent()
        shared: dict[str, Any] = {"wall": wall, "metrics": silent}
        timed: dict[str, Any] = {**shared, "clock": self.clock, "store": self.store}
        self._receive = ReceiveWebhook(
            senders=load_senders(),
            secrets=OneSecret(),
            mapper=EventMapper.with_secret(load_plan(), namespace),
            producer=self.topics,
            clock=self.clock,
            **shared,
        )
        self._resolve = ResolveIdentity(producer=self.topics, **timed)
        self._score = ScoreJourneys(store=self.store, model=model, **shared)
        self._start = StartInterventions(
            workflow=self, playbooks=playbooks, holdout_percent=holdout, **timed
        )
        self._check = CheckPlaybook(
            model=model,
            playbooks=playbooks,
            switches=Live(),
            holdout_percent=holdout,
            **timed,
        )
        self._deliver = DeliverAction(
            senders={Channel.CSM_ALERT: self},
            switches=Live(),
            read_timeout_ms=1,
            function_timeout_ms=60_000,
            **timed,
        )
        self._publish = PublishChanges(
            producer=self.topics, queues={Channel.CSM_ALERT: self}, **shared
        )

    def _records(self) -> int:
        work = (
            (Topic.EVENTS_RECEIVED, (self._resolve,)),
            (Topic.EVENTS_RESOLVED, (self._score, self._start)),
            (Topic.IDENTITY_CHANGED, (self._score,)),
            (Topic.JOURNEYS_SCORED, (self._start,)),
        )
        done = 0
        for topic, consumers in work:
            records = self.topics.take(topic)
            for consume in consumers if records else ():
                result = consume(records)
                if result.failed:
                    raise RuntimeError(f"in memory nothing may fail: {result.failed[0][1]}")
            done += len(records)
        return done

    def _changes(self) -> int:
        changes = [change for changes in self.store.streams.values() for change in changes]
        self.store.streams.clear()
        if changes:
            self._publish(sorted(changes, key=lambda change: int(change.id)))
        return len(changes)

    def _messages(self) -> int:
        messages, self._queue = self._queue, []
        for body in messages:
            self._deliver(ClaimReference.decode(body.encode()), lambda: 60_000)
        return len(messages)

    def _checks(self) -> int:
        due = sorted(name for name, at in self._waiting.items() if at <= self.clock.at)
        for enrolment in due:
            del self._waiting[enrolment]
            result = self._check(enrolment)
            if not result.done and result.due is not None:
                self._waiting[enrolment] = result.due
        return len(due)


class Topics:
    """The producer port: one partition a topic. `kept` holds all, `take` what is new."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Record]] = defaultdict(list)
        self._taken: dict[str, int] = defaultdict(int)

    def produce(self, record: Outgoing) -> None:
        """Append it; there is nothing to wait for."""
        log = self.kept[record.topic]
        log.append(
            Record(
                record.topic, 0, len(log), WALL, record.key.encode(), record.value, record.headers
            )
        )

    def flush(self, timeout: float) -> None:
        """Everything is where it belongs."""

    def take(self, topic: str) -> list[Record]:
        """The records since the last call."""
        start, self._taken[topic] = self._taken[topic], len(self.kept[topic])
        return self.kept[topic][start:]


class MovedClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        """Epoch ms."""
        return self.at


class OneSecret:
    """The secrets port: the same for all senders."""

    def current(self, name: str) -> Sequence[bytes]:
        """One value."""
        return (SECRET,)

    def refresh(self, name: str) -> bool:
        """Nothing newer."""
        return False


class Live:
    """The switches port with sends on, and nothing killed."""

    def send_mode(self) -> str:
        """On."""
        return "live"

    def allowed(self, recipient: str) -> bool:
        """All."""
        return True

    def killed(self, *, playbook: str, channel: str) -> bool:
        """Nothing."""
        return False


class Silent:
    """The metrics port to nowhere."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Not counted."""


def holdout_percent() -> int:
    """What the local deployment is set to."""
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return int(context["stages"]["dev"]["holdout_percent"])
