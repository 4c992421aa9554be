"""The whole pipeline in memory: the real use cases on in-memory ports, with a manual clock.

`drive` drives it like the running cloud. The demo compares the decisions of both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from desireline.adapters.memory import MemoryStore
from desireline.adapters.packaged_models import journey_model
from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import Topic
from desireline.events import ClaimReference
from desireline.intervene.channels import CHANNELS
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
from desireline.score.score_journey import ScoreJourneys
from desireline_learning.simulator.traffic import Delivery
from desireline_local.demo.ledger import LedgerLine, ledger_lines
from desireline_local.sender_side.signing import sign
from desireline_operate.paths import PROJECT

SECRET = b"in memory"
WALL = 1_760_000_000_000
"""The fixed wall time: the compared decisions do not depend on it."""


class InMemoryPipeline:
    """The pipeline. namespace: the secret that derives fragments; with the cloud's secret, subjects
    have the same ids as there. start: journey time, epoch ms."""

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

    def post(self, deliveries: Sequence[Delivery]) -> None:
        """Receive these webhooks with their senders' signatures."""
        for delivery in deliveries:
            secret = b"not the secret" if delivery.forged else SECRET
            headers = sign(delivery.source, delivery.body, secret, WALL)
            request = WebhookRequest(delivery.source, headers, delivery.body)
            self.statuses.append(self._receive(request).status)

    def settle(self) -> None:
        """Process records until none is left and every execution waits for its time."""
        while self._records() + self._changes() + self._messages() + self._checks():
            pass

    def next_due(self) -> int | None:
        """Return the earliest time for which an execution waits, or None."""
        return min(self._waiting.values(), default=None)

    def advance(self, to: int) -> None:
        """Advance journey time; it never goes back."""
        self.clock.at = max(self.clock.at, to)

    def decisions(self) -> list[LedgerLine]:
        """Return the ledger's lines, which can be compared."""
        return ledger_lines(self.store.rows.values())

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        """Start an execution, which checks at once (the workflow port)."""
        if name not in self._started:
            self._started.add(name)
            self._waiting[payload["enrolment"]] = self.clock.at

    def put(self, body: str) -> None:
        """Append a message (the queue port)."""
        self._queue.append(body)

    def send(self, alert: Alert) -> str:
        """Store an alert, and return its id (the sender port)."""
        self.alerts.append(alert)
        return f"alert-{len(self.alerts)}"

    def _compose(self, namespace: bytes) -> None:
        wall, silent = MovedClock(WALL), Silent()
        model, playbooks = journey_model(), load()
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
            switches=LiveSwitches(),
            holdout_percent=holdout,
            **timed,
        )
        self._deliver = DeliverAction(
            senders=dict.fromkeys(CHANNELS, self),
            switches=LiveSwitches(),
            read_timeout_ms=1,
            function_timeout_ms=60_000,
            **timed,
        )
        self._publish = PublishChanges(
            producer=self.topics, queues=dict.fromkeys(CHANNELS, self), **shared
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
                    raise RuntimeError(f"a record failed in memory: {result.failed[0][1]}")
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
    """The producer port with one partition per topic. records: all records, by topic."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = defaultdict(list)
        self._read: dict[str, int] = defaultdict(int)

    def produce(self, record: Outgoing) -> None:
        """Append a record at once."""
        log = self.records[record.topic]
        log.append(
            Record(
                record.topic, 0, len(log), WALL, record.key.encode(), record.value, record.headers
            )
        )

    def flush(self, timeout: float) -> None:
        """Do nothing, because `produce` stores at once."""

    def take(self, topic: str) -> list[Record]:
        """Return the records since the last call."""
        start, self._read[topic] = self._read[topic], len(self.records[topic])
        return self.records[topic][start:]


class MovedClock:
    """A clock that changes only by assignment to `at`."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> int:
        """Return epoch ms."""
        return self.at


class OneSecret:
    """The secrets port with one secret for all senders."""

    def current(self, name: str) -> Sequence[bytes]:
        """Return the secret."""
        return (SECRET,)

    def refresh(self, name: str) -> bool:
        """Return False, because the secret never changes."""
        return False


class LiveSwitches:
    """The switches port with live sends and no kill switch."""

    def send_mode(self) -> str:
        """Return the mode for live sends."""
        return "live"

    def allowed(self, recipient: str) -> bool:
        """Allow every recipient."""
        return True

    def killed(self, *, playbook: str, channel: str) -> bool:
        """Return False for every playbook and channel."""
        return False


class Silent:
    """The metrics port without a target."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Discard the count."""


def holdout_percent() -> int:
    """Return the holdout of the local deployment, from `cdk.json`."""
    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return int(context["stages"]["dev"]["holdout_percent"])
