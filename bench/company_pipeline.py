"""Resolve, announce and score over a stream of events, all in memory, batch by batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from desireline.adapters.memory import MemoryStore
from desireline.adapters.packaged_models import journey_model
from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import Topic
from desireline.events import CanonicalEvent
from desireline.records import Outgoing, Record
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.score.score_journey import ScoreJourneys

WALL = 1_800_000_000_000


class StandingClock:
    """Says the same time whenever it is asked."""

    def now(self) -> int:
        return WALL


class NoMetrics:
    """Counts nothing."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        """Forget it."""


class Topics:
    """What was produced and not yet taken, by topic."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Record]] = defaultdict(list)
        self.offsets = 0

    def produce(self, record: Outgoing) -> None:
        """Append a record."""
        self.offsets += 1
        self.waiting[record.topic].append(
            Record(record.topic, 0, self.offsets, WALL, record.key.encode(), record.value)
        )

    def flush(self, timeout: float) -> None:
        """Everything is there already."""

    def take(self, *topics: str) -> list[Record]:
        """What waits on these topics, which is then taken."""
        return [record for topic in topics for record in self.waiting.pop(topic, [])]


class Pipeline:
    """The three use cases over one store. reads, writes: items that scoring alone has touched."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.topics = Topics()
        self.reads = self.writes = self.events = 0
        clock, metrics = StandingClock(), NoMetrics()
        self._resolve = ResolveIdentity(
            store=self.store, producer=self.topics, clock=clock, wall=clock, metrics=metrics
        )
        self._publish = PublishChanges(producer=self.topics, queues={}, wall=clock, metrics=metrics)
        self._score = ScoreJourneys(
            store=self.store,
            model=journey_model(),
            wall=clock,
            metrics=metrics,
        )

    def run(self, events: Sequence[CanonicalEvent], *, batch: int) -> None:
        """Everything in batches of this many events, until nothing is left to score."""
        for start in range(0, len(events), batch):
            part = events[start : start + batch]
            for event in part:
                self.topics.produce(Outgoing(Topic.EVENTS_RECEIVED, event.fragment, event.encode()))
            self.events += len(part)
            resolved = self._resolve(self.topics.take(Topic.EVENTS_RECEIVED))
            assert not resolved.failed and not resolved.quarantined
            self._announce()
            self._scored(self.topics.take(Topic.EVENTS_RESOLVED, Topic.IDENTITY_CHANGED))

    def _announce(self) -> None:
        for changes in self.store.streams.values():
            taken = list(changes)
            changes.clear()
            assert not taken or self._publish(taken) is None

    def _scored(self, records: Iterable[Record]) -> None:
        reads, writes = self.store.reads, self.store.writes
        result = self._score(list(records))
        assert not result.failed and not result.quarantined
        self.reads += self.store.reads - reads
        self.writes += self.store.writes - writes
