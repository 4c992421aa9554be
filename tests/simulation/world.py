"""The whole pipeline: the real use cases, each in processes of its own, on ports that fail."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import Topic
from desireline.intervene.check_playbook import CheckPlaybook
from desireline.intervene.deliver_action import DeliverAction
from desireline.intervene.start_interventions import StartInterventions
from desireline.ports import RawBodies, Span
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import load_senders
from desireline.recover.replay_webhooks import Counts, ReplayWebhooks, Selection
from desireline.resolve.fold import Fold
from desireline.resolve.link import Link
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.score.score_journey import ScoreJourneys
from desireline_local.demo.in_memory import OneSecret, Silent
from desireline_local.sender_side.signing import sign
from tests.simulation.faults import Faults
from tests.simulation.kafka import KafkaEventSource, SimProducer, Topics
from tests.simulation.operators import Operators
from tests.simulation.oracle import events_of
from tests.simulation.processes import Function
from tests.simulation.readiness import SimReadiness
from tests.simulation.releases import (
    BEFORE,
    CANONICAL,
    FRAGMENTS,
    LIVE,
    PLAN,
    PLAYBOOKS,
    live_channels,
)
from tests.simulation.scenario import END, HOUR, START, Post, Scenario
from tests.simulation.scheduler import Scheduler
from tests.simulation.scoring_model import QuickModel
from tests.simulation.services import (
    DELIVER_MS,
    READ_TIMEOUT_MS,
    ChannelQueue,
    Executions,
    Provider,
    Streams,
)
from tests.simulation.switches import Board, SimSwitches
from tests.simulation.tables import SimStore, Tables
from tests.worlds.raw_bodies import MemoryRawBodies

SECRET = b"in memory"
HOLDOUT_PERCENT = 30
RECEIVE_MS = 20_000
REPLAY_MS = 600_000
EVER = (0, 2**45)
CONSUME_MS = 60_000


@dataclass
class Clock:
    """The Clock port. ahead: of journey time, ms; 0 on AWS, where the two clocks are one."""

    scheduler: Scheduler
    ahead: int = 0

    def now(self) -> int:
        return self.scheduler.now + self.ahead


class World:
    """One history. `run` it, then look at tables, topics, provider and executions."""

    def __init__(self, seed: int, scenario: Scenario, faults: Faults) -> None:
        rng = random.Random(f"history {seed}")
        self.scenario = scenario
        self.scheduler = Scheduler(rng, faults, now=START - 2 * HOUR, calm_at=START + END)
        self.tables = Tables()
        self.scheduler.order = lambda: self.tables.steps
        self.functions: list[Function] = []
        self.topics = Topics(self.scheduler, list(Topic), partitions=rng.randint(1, 3))
        self.queue = ChannelQueue(self.scheduler)
        self.provider = Provider(self.scheduler, self.tables)
        self.executions = Executions(self.scheduler)
        moments = [post.at for post in scenario.posts] if faults.switch else []
        self.board = Board(random.Random(f"switches {seed}"), moments)
        self.answered: dict[int, int] = {}
        self._playbooks = BEFORE
        self._tokens = 0
        self.refused: list[str] = []
        self.wall = Clock(self.scheduler, scenario.ahead)
        self._timed: dict[str, Any] = {"clock": Clock(self.scheduler), "wall": self.wall}
        ids = [[one.event_id for one in events_of([post])] for post in scenario.posts]
        self.readiness = SimReadiness(self.tables, self.answered, ids)
        self.operators = Operators(self.scheduler, self._store, self.wall, FRAGMENTS)
        self._senders = self._function(self._receive)
        self.executions.connect(self._function(self._check))
        self.queue.connect(self._function(self._deliver))
        self.streams = Streams(self.scheduler, self._function(self._publish), rng.randint(1, 4))
        self.tables.on_change = self.streams.add
        self.mappings = self._mappings()
        self._plan(rng)

    def run(self) -> None:
        """To the end. Raises NeverAtRestError."""
        with live_channels():
            self.scheduler.run(self._poll)

    def _poll(self) -> None:
        for mapping in self.mappings:
            mapping.poll()
        self.streams.poll()
        self.queue.poll()

    def _plan(self, rng: random.Random) -> None:
        for number, post in enumerate(self.scenario.posts):
            self.scheduler.at(post.at, lambda n=number, p=post: self._post(n, p))  # type: ignore[misc]
        for order in self.scenario.orders:
            self.scheduler.at(order.at, lambda one=order: self.operators.carry_out(one))  # type: ignore[misc]
        if self.scenario.deployed_at is not None:
            self.scheduler.at(self.scenario.deployed_at, self._deploy)
        if self.scheduler.faults.grow:
            for topic in rng.sample(list(Topic), 3):
                at = START + rng.randint(0, 6 * HOUR)
                self.scheduler.at(at, lambda t=topic: self.topics.grow(t))  # type: ignore[misc]
        if self.scheduler.faults.replay:
            for number in range(rng.randint(1, 3)):
                at = START + rng.randint(0, END)
                if self.scenario.posts and rng.random() < 0.7:
                    # While a webhook's events are on their way, which a replay may overtake.
                    at = rng.choice(self.scenario.posts).at + rng.randint(0, 2_000)
                self.scheduler.at(at, lambda n=number: self._begin_replay(n))  # type: ignore[misc]

    def _deploy(self) -> None:
        """A later release: every process is replaced, what runs carries on in its tables."""
        self.scheduler.note("a later release is deployed")
        self._playbooks = PLAYBOOKS
        for function in self.functions:
            function.replace()

    def _begin_replay(self, number: int) -> None:
        """Of all raw webhooks that there are now."""
        records = self.topics.records(Topic.WEBHOOKS_RAW)
        bodies = MemoryRawBodies(lambda: records)
        self.scheduler.note(f"replay {number} of {len(records)} raw webhooks")
        self._replay(number, bodies, bodies.span(*EVER))

    def _replay(self, number: int, bodies: RawBodies, left: Span) -> None:
        """A person's command: whenever it is interrupted it is given again, from its last
        progress."""
        kept = [left]

        def body(replay: ReplayWebhooks) -> None:
            found = replay(left, Selection(), replay_id=f"r{number}", go=True, counts=Counts())
            for progress in found:
                kept.append(progress.left)

        def again(_: BaseException) -> None:
            rest = kept[-1]
            self.scheduler.after(1_000, HOUR, lambda: self._replay(number, bodies, rest))

        replaying = self._function(lambda: self._replaying(bodies))
        name = f"replay[{number}]"
        replaying.invoke(name, body, done=lambda _: None, died=again, timeout=REPLAY_MS)

    def _post(self, number: int, post: Post) -> None:
        """Send until it is answered with 2xx; a sender may also send what was taken."""
        scheduler = self.scheduler

        def body(receive: ReceiveWebhook) -> int:
            headers = sign(post.source, post.body, SECRET, self.wall.now())
            return receive(WebhookRequest(post.source, headers, post.body)).status

        def again(_: BaseException | None = None) -> None:
            most = scheduler.rng.choice((2_000, 60_000, 2 * HOUR))
            scheduler.after(1_000, most, lambda: self._post(number, post))

        def done(status: int) -> None:
            if status != 200:
                if status != 503:
                    self.refused.append(f"answered {status}: {post.body!r}")
                    return
                if scheduler.strikes(0.5 * scheduler.faults.replay):
                    # Its raw body may be there and its events not: now a replay overtakes them.
                    scheduler.after(1, 500, lambda: self._begin_replay(100 + number))
                again()
                return
            self.answered.setdefault(number, scheduler.now)
            if scheduler.strikes(scheduler.faults.sender):
                again()

        self._senders.invoke(f"receive[{number}]", body, done=done, died=again, timeout=RECEIVE_MS)

    def _mappings(self) -> list[KafkaEventSource]:
        score, start = self._function(self._score), self._function(self._start)
        wanted: Sequence[tuple[str, Topic, Function]] = (
            ("resolve", Topic.EVENTS_RECEIVED, self._function(self._resolve)),
            ("score", Topic.EVENTS_RESOLVED, score),
            ("score", Topic.IDENTITY_CHANGED, score),
            ("start", Topic.EVENTS_RESOLVED, start),
            ("start", Topic.JOURNEYS_SCORED, start),
        )
        return [
            KafkaEventSource(
                name=name,
                topic=topic,
                topics=self.topics,
                function=function,
                scheduler=self.scheduler,
                timeout=CONSUME_MS,
            )
            for name, topic, function in wanted
        ]

    # --- composition roots, run for each new process

    def _function(self, make: Any) -> Function:
        self.functions.append(Function(self.scheduler, make))
        return self.functions[-1]

    def _store(self) -> SimStore:
        return SimStore(self.tables, self.scheduler)

    def _switches(self) -> SimSwitches:
        return SimSwitches(self.board, self.scheduler)

    def _producer(self) -> SimProducer:
        return SimProducer(self.topics, self.scheduler)

    def _receive(self) -> ReceiveWebhook:
        return ReceiveWebhook(
            senders=load_senders(("segment", "stripe")),
            secrets=OneSecret(),
            mapper=EventMapper(CANONICAL, PLAN.version),
            producer=self._producer(),
            metrics=Silent(),
            **self._timed,
        )

    def _replaying(self, bodies: RawBodies) -> ReplayWebhooks:
        return ReplayWebhooks(
            bodies=bodies,
            senders=load_senders(("segment", "stripe")),
            mapper=EventMapper(CANONICAL, PLAN.version),
            producer=self._producer(),
            batch=4,
        )

    def _resolve(self) -> ResolveIdentity:
        store, metrics = self._store(), Silent()
        return ResolveIdentity(
            store=store,
            producer=self._producer(),
            metrics=metrics,
            link=Link(store, metrics),
            fold=Fold(store, hot_days=1, hot_ids=4),
            **self._timed,
        )

    def _score(self) -> ScoreJourneys:
        model: Any = QuickModel()
        return ScoreJourneys(store=self._store(), model=model, wall=self.wall, metrics=Silent())

    def _start(self) -> StartInterventions:
        return StartInterventions(
            store=self._store(),
            workflow=self.executions,
            playbooks=self._playbooks,
            metrics=Silent(),
            holdout_percent=HOLDOUT_PERCENT,
            **self._timed,
        )

    def _check(self) -> CheckPlaybook:
        model: Any = QuickModel()
        return CheckPlaybook(
            store=self._store(),
            model=model,
            playbooks=self._playbooks,
            switches=self._switches(),
            metrics=Silent(),
            holdout_percent=HOLDOUT_PERCENT,
            readiness=self.readiness if self.scenario.careful else None,
            **self._timed,
        )

    def _deliver(self) -> DeliverAction:
        return DeliverAction(
            store=self._store(),
            senders=dict.fromkeys(LIVE, self.provider),
            switches=self._switches(),
            metrics=Silent(),
            read_timeout_ms=READ_TIMEOUT_MS,
            function_timeout_ms=DELIVER_MS,
            token=self._token,
            **self._timed,
        )

    def _publish(self) -> PublishChanges:
        queues: Mapping[str, Any] = dict.fromkeys(LIVE, self.queue)
        return PublishChanges(
            producer=self._producer(), queues=queues, wall=self.wall, metrics=Silent()
        )

    def _token(self) -> str:
        self._tokens += 1
        return f"attempt {self._tokens}"
