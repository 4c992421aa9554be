"""A replay counts what was lost, counts nothing again, starts nothing, and can be given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from desireline.contracts import Header, Topic
from desireline.errors import UnavailableError
from desireline.events import AliasType, CanonicalEvent, RawWebhook
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders import load_senders
from desireline.records import Outgoing, Record
from desireline.recover.replay_webhooks import Counts, ReplayProgress, ReplayWebhooks, Selection
from desireline.rows import (
    AccountRow,
    ClaimRow,
    DecisionRow,
    EnrolmentRow,
    JourneyRow,
    PersonRow,
    StateRow,
    SubjectRow,
)
from desireline_learning.simulator import Company, Scenario
from desireline_local.demo.drive import drive
from desireline_local.demo.in_memory import WALL, InMemoryPipeline
from tests.worlds.raw_bodies import MemoryRawBodies

NAMESPACE = b"any"
PLAN = load_plan()
EVER = (0, 2**45)
COMPANY = Company(Scenario(trials=6, days=8.0, seed=1))
ALL = Selection()


class Flaky:
    """A producer in front of another one, that may refuse a flush."""

    def __init__(self, behind: Any, refuse: int = -1) -> None:
        self.behind, self.refuse = behind, refuse
        self.produced: list[Outgoing] = []

    def produce(self, record: Outgoing) -> None:
        self.produced.append(record)
        self.behind.produce(record)

    def flush(self, timeout: float) -> None:
        self.refuse -= 1
        if self.refuse == -1:
            raise UnavailableError("no broker")


def pipeline_of(company: Company = COMPANY) -> InMemoryPipeline:
    made = InMemoryPipeline(namespace=NAMESPACE, start=company.scenario.start)
    drive(made, company.deliveries, until=company.scenario.end)
    return made


def replay_of(pipeline: InMemoryPipeline, producer: Any = None) -> tuple[ReplayWebhooks, Any]:
    bodies = MemoryRawBodies(lambda: pipeline.topics.records[Topic.WEBHOOKS_RAW])
    mapping = EventMapper.with_secret(PLAN, NAMESPACE)
    made = ReplayWebhooks(
        bodies=bodies,
        senders=load_senders(),
        mapper=mapping,
        producer=producer or pipeline.topics,
    )
    return made, bodies.span(*EVER)


def replayed(
    pipeline: InMemoryPipeline, selection: Selection = ALL, *, go: bool = True, producer: Any = None
) -> Counts:
    replay, span = replay_of(pipeline, producer)
    counts = Counts()
    for _ in replay(span, selection, replay_id="r1", go=go, counts=counts):
        pass
    pipeline.settle()
    return counts


def rows(pipeline: InMemoryPipeline, *types: type) -> dict[Any, Any]:
    return {key: row for key, row in pipeline.store.rows.items() if isinstance(row, types)}


COUNTED = (StateRow, PersonRow, SubjectRow, AccountRow, JourneyRow)
DECIDED = (EnrolmentRow, ClaimRow)


def test_a_replay_of_everything_changes_no_count_and_starts_nothing():
    pipeline = pipeline_of()
    before = rows(pipeline, *COUNTED, *DECIDED)
    alerts = len(pipeline.alerts)
    assert alerts

    counts = replayed(pipeline)

    assert counts.events.total() > 200
    assert rows(pipeline, *COUNTED, *DECIDED) == before
    assert len(pipeline.alerts) == alerts
    noted = [row for row in pipeline.store.rows.values() if isinstance(row, DecisionRow)]
    assert {row.reason for row in noted if row.step == "replay"} == {"replay"}


def test_events_are_produced_as_they_were_the_first_time_but_for_the_mark():
    pipeline = pipeline_of()
    first = pipeline.topics.records[Topic.EVENTS_RECEIVED][:]

    replayed(pipeline)

    again = pipeline.topics.records[Topic.EVENTS_RECEIVED][len(first) :]
    assert [(one.key, one.value) for one in again] == [(one.key, one.value) for one in first]
    assert {bytes(one.headers[Header.REPLAY]) for one in again} == {b"r1"}


def lossy(company: Company = COMPANY) -> InMemoryPipeline:
    """A pipeline in which all raw bodies arrived, and no event did; and no trigger is too old for
    its playbooks, so that the mark alone can hold them back."""
    pipeline = InMemoryPipeline(namespace=NAMESPACE, start=company.scenario.start)
    pipeline._start._playbooks = [
        playbook.model_copy(update={"entry_age_limit": 1 << 60})
        for playbook in pipeline._start._playbooks
    ]
    produce = pipeline.topics.produce

    def lose(record: Outgoing) -> None:
        if record.topic != Topic.EVENTS_RECEIVED:
            produce(record)

    pipeline.topics.produce = lose  # type: ignore[method-assign]
    drive(pipeline, company.deliveries, until=company.scenario.end)
    pipeline.topics.produce = produce  # type: ignore[method-assign]
    return pipeline


def test_what_was_lost_is_counted_at_its_own_time_and_starts_nothing():
    """Given that every event was lost behind the raw topic, when all is replayed, then each counts
    as it would have, scores and persons are the same, and no playbook starts, neither by an event
    nor by a crossing."""
    whole, pipeline = pipeline_of(), lossy()
    assert not rows(pipeline, *COUNTED)

    replayed(pipeline)

    assert states(pipeline) == states(whole)
    assert scores(pipeline) == scores(whole)
    assert not rows(pipeline, *DECIDED)
    assert pipeline.alerts == []
    assert rows(whole, *DECIDED)
    assert whole.alerts


def states(pipeline: InMemoryPipeline) -> dict[Any, Any]:
    return {key: row.state for key, row in rows(pipeline, StateRow).items()}


def scores(pipeline: InMemoryPipeline) -> dict[str, Any]:
    """Of live subjects with accounts; a merged one's last score is history."""
    live = {
        row.subject
        for row in rows(pipeline, SubjectRow).values()
        if row.merged_into is None and row.accounts
    }
    return {
        row.subject: (row.current.score, row.current.stage, row.current.lifecycle)
        for row in rows(pipeline, JourneyRow).values()
        if row.subject in live
    }


def test_what_a_replay_made_true_is_acted_on_at_the_next_event_that_is_none():
    """Given a hot lead that only a replay has made hot, when it does one thing more, then the
    playbook starts: nobody had been told."""
    whole, pipeline = pipeline_of(), lossy()
    replayed(pipeline)
    hot = [
        row.subject
        for row in rows(pipeline, JourneyRow).values()
        if row.current.tier == "hot" and row.replayed
    ]
    mine = [
        record
        for record in whole.topics.records[Topic.EVENTS_RESOLVED]
        if orjson.loads(record.value or b"")["subject"] == hot[0]
    ]
    last = CanonicalEvent.model_validate(orjson.loads(mine[-1].value or b"")["event"])

    pipeline.topics.produce(Outgoing(Topic.EVENTS_RECEIVED, last.fragment, last.encode()))
    pipeline.settle()

    started = {row.playbook for row in rows(pipeline, EnrolmentRow).values()}
    assert "hot_lead" in started


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_replay_that_was_given_up_goes_on_where_it_was(stop_after):
    """Given a replay whose broker fails after some flushes, when it goes on from the last progress,
    then everything was produced, and at most a batch twice."""
    pipeline = pipeline_of()
    first = Counter(one.value for one in pipeline.topics.records[Topic.EVENTS_RECEIVED])
    producer = Flaky(pipeline.topics, refuse=stop_after)
    replay, left = replay_of(pipeline, producer)
    counts = Counts()
    with pytest.raises(UnavailableError):
        for progress in small_steps(replay, left, counts):
            left = progress.left

    for _ in small_steps(replay, left, counts):
        pass

    produced = Counter(one.value for one in producer.produced)
    assert produced.keys() == first.keys()
    assert first.total() <= produced.total() <= first.total() + 2 * STEP


STEP = 50


def small_steps(replay: ReplayWebhooks, span: Any, counts: Counts) -> Iterator[ReplayProgress]:
    replay._batch = STEP
    yield from replay(span, ALL, replay_id="r1", go=True, counts=counts)


def test_a_dry_run_counts_and_produces_nothing():
    pipeline = pipeline_of()
    producer = Flaky(pipeline.topics)

    counts = replayed(pipeline, go=False, producer=producer)

    first = Counter(
        (event.source, event.name)
        for event in map(decoded, pipeline.topics.records[Topic.EVENTS_RECEIVED])
    )
    assert counts.events == first
    assert producer.produced == []


def decoded(record: Record) -> CanonicalEvent:
    return CanonicalEvent.decode(record.value or b"")


@pytest.mark.parametrize("name", ["sources", "events", "fragments"])
def test_only_what_is_selected_is_produced(name):
    pipeline = pipeline_of()
    events = [decoded(one) for one in pipeline.topics.records[Topic.EVENTS_RECEIVED]]
    alias = next(a for e in events for a in e.aliases if a.type is AliasType.ANONYMOUS)
    chosen = {
        "sources": ("stripe", lambda e: e.source == "stripe"),
        "events": ("task_created", lambda e: e.name == "task_created"),
        "fragments": (alias.fragment, lambda e: alias.fragment in {a.fragment for a in e.aliases}),
    }
    value, holds = chosen[name]
    producer = Flaky(pipeline.topics)

    replayed(pipeline, Selection(**{name: frozenset({value})}), producer=producer)

    wanted = [event.event_id for event in events if holds(event)]
    assert wanted
    assert [CanonicalEvent.decode(one.value).event_id for one in producer.produced] == wanted


def test_a_body_that_no_sender_reads_any_more_is_counted_and_passed_over():
    pipeline = pipeline_of()
    whole = replayed(pipeline, go=False)
    for source, body in (("gone", "e30="), ("segment", "e30"), ("segment", "bm8=")):
        raw = RawWebhook(id="r", source=source, received_at=WALL, headers={}, body=body)
        pipeline.topics.produce(Outgoing(Topic.WEBHOOKS_RAW, source, raw.encode()))

    counts = replayed(pipeline, go=False)

    assert counts.unreadable == 3
    assert counts.events == whole.events
