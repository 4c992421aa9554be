"""Webhooks that broke the plan, with a repair that maps them again."""

from __future__ import annotations

from typing import Any

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders import load_senders
from desireline.records import Outgoing, Record
from desireline.recover.quarantine.cases import Cases, Filters
from desireline.recover.quarantine.index_quarantine import DAY, IndexQuarantine
from desireline.recover.quarantine.repair import Repair
from desireline_local.demo.in_memory import Silent
from tests.worlds.raw_bodies import MemoryRawBodies
from tests.worlds.receiving import NOW, PLAN, World, segment, track

EVER = Filters(since=NOW - DAY, until=NOW + DAY)


def mapping(plan: Any) -> EventMapper:
    return EventMapper.with_secret(plan, b"namespace")


class Scene:
    """Webhooks received, their quarantine indexed, and a broker that may refuse."""

    def __init__(self, *calls: dict[str, Any]) -> None:
        self.world, self.store = World(), MemoryStore()
        self.cases = Cases(self.store)
        self.bodies: Any = MemoryRawBodies(lambda: self.records(Topic.WEBHOOKS_RAW))
        if calls:
            assert self.world.receive(segment(*calls)).status == 200
        self.index(*self.records(Topic.EVENTS_QUARANTINED))
        self.received = len(self.world.of(Topic.EVENTS_RECEIVED))

    def index(self, *records: Record) -> None:
        IndexQuarantine(store=self.store, metrics=Silent())(records)

    def records(self, topic: Topic) -> list[Record]:
        return [
            Record(topic, 0, n, NOW, one.key.encode(), one.value)
            for n, one in enumerate(self.world.of(topic))
        ]

    def repair(self, plan: Any = PLAN) -> Repair:
        return Repair(
            cases=self.cases,
            bodies=self.bodies,
            senders=load_senders(),
            deployed=mapping(PLAN),
            corrected=mapping(plan),
            producer=self.world,
            wall=self.world,
        )

    def all(self, **fields: Any) -> Any:
        return self.cases.cases(Filters(since=EVER.since, until=EVER.until, **fields), 1_000)

    def replay(self, plan: Any = PLAN, name: str = "r1") -> Any:
        *_, last = self.repair(plan).replay(self.all(), name)
        return last

    def replayed(self) -> list[Outgoing]:
        return self.world.of(Topic.EVENTS_RECEIVED)[self.received :]


def tea(number: int, **fields: Any) -> dict[str, Any]:
    return track(number, **{"event": "Tea Drunk", "properties": {"kind": "green"}, **fields})
