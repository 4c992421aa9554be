"""reference_funnel.sql against a brute-force oracle, over streams that are out to break it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from desireline_operate.warehouse.connection import rows
from desireline_operate.warehouse.funnel import STEPS, Funnel, reference_funnel

DAY = 86_400_000
START = 1_772_000_000_000
WINDOW_DAYS = 3
SEEDS = 36


@dataclass(frozen=True)
class Event:
    """A row of events_resolved, and the order in which it was loaded."""

    id: str
    name: str
    subject: str
    at: int


@dataclass(frozen=True)
class Stream:
    """events: with repeats; merges: (loser, winner); as_of: when the question is asked."""

    events: list[Event]
    merges: list[tuple[str, str]]
    as_of: int


def stream(seed: int) -> Stream:
    """Subjects with ties, duplicates, skipped and reversed steps, borders hit, open windows."""
    chance = random.Random(seed)
    subjects = [f"s{number}" for number in range(chance.randint(3, 12))]
    step = chance.choice([1, 1000, DAY // 4, DAY // 2])
    events = []
    for number in range(chance.randint(20, 160)):
        name = chance.choice((*STEPS, "page_viewed"))
        at = START + chance.randint(0, 6 * DAY // step) * step
        events.append(Event(f"{seed}-{number}", name, chance.choice(subjects), at))
    signups = [event for event in events if event.name == STEPS[0]]
    for number, signup in enumerate(signups):
        border = signup.at + WINDOW_DAYS * DAY + chance.choice([-1, 0, 1])
        events.append(Event(f"{seed}-b{number}", chance.choice(STEPS[1:]), signup.subject, border))
    if chance.random() < 0.8:
        for number, name in enumerate(STEPS):
            at = START + DAY + (number * DAY // 2 if chance.random() < 0.5 else 0)
            events.append(Event(f"{seed}-w{number}", name, "s0", at))
    merges = []
    order = chance.sample(subjects, len(subjects))
    for index, loser in enumerate(order[:-1]):
        if chance.random() < 0.35:
            merges.append((loser, chance.choice(order[index + 1 :])))
    events += chance.choices(events, k=len(events) // 3)
    chance.shuffle(events)
    closing = [signup.at + WINDOW_DAYS * DAY for signup in signups] or [START]
    as_of = chance.choice([START + 4 * DAY, START + 5 * DAY, chance.choice(closing), START])
    return Stream(events, merges, as_of)


def brute_force(stream: Stream) -> Funnel:
    """Every subject walked alone, in the plainest way."""
    winners = dict(stream.merges)

    def current(subject: str) -> str:
        while subject in winners:
            subject = winners[subject]
        return subject

    by_subject: dict[str, set[tuple[int, str]]] = {}
    for event in stream.events:
        by_subject.setdefault(current(event.subject), set()).add((event.at, event.name))
    counts = {True: [0] * len(STEPS), False: [0] * len(STEPS)}
    for events in by_subject.values():
        starts = [at for at, name in events if name == STEPS[0]]
        if not starts:
            continue
        end = min(starts) + WINDOW_DAYS * DAY
        reached = min(starts)
        for index, step in enumerate(STEPS):
            later = [at for at, name in events if name == step and reached <= at <= end]
            if not later:
                break
            counts[end <= stream.as_of][index] += 1
            reached = min(later)
    return Funnel(tuple(counts[True]), tuple(counts[False]))


@pytest.fixture
def load(warehouse: Any) -> Iterator[Any]:
    """Loads a stream into tables that are empty before and after."""

    def clear() -> None:
        for table in ("events_resolved", "identity_changed"):
            warehouse.cursor().execute(f"delete from raw.{table}")

    def insert(stream: Stream) -> None:
        for half in (stream.events[::2], stream.events[1::2]):
            _insert_events(warehouse, half)
        _insert_merges(warehouse, stream.merges)

    clear()
    yield insert
    clear()


def _insert_events(warehouse: Any, events: list[Event]) -> None:
    if events:
        run = uuid4().int % 10**9
        warehouse.cursor().execute(
            "insert into raw.events_resolved (event_id, name, subject, occurred_at,"
            " topic_partition, topic_offset, record_at, payload, source_file, source_row,"
            " loaded_at)"
            " select column1, column2, column3, column4::timestamp_ntz, 0, column5,"
            " column4::timestamp_ntz, parse_json('{}'), 'f', 1, column4::timestamp_ntz"
            " from values "
            + ", ".join(
                f"('{one.id}', '{one.name}', '{one.subject}', '{_text(one.at)}', {run + number})"
                for number, one in enumerate(events)
            )
        )


def _insert_merges(warehouse: Any, merges: list[tuple[str, str]]) -> None:
    if merges:
        warehouse.cursor().execute(
            "insert into raw.identity_changed (kind, loser, winner, topic_partition, topic_offset,"
            " record_at, payload, source_file, source_row, loaded_at)"
            " select 'subject_merged', column1, column2, 0, 0, column3::timestamp_ntz,"
            " parse_json('{}'), 'f', 1, column3::timestamp_ntz from values "
            + ", ".join(f"('{loser}', '{winner}', '{_text(START)}')" for loser, winner in merges)
        )


def _text(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_query_counts_what_brute_force_counts(warehouse: Any, load: Any, seed: int) -> None:
    given = stream(seed)
    load(given)

    found = reference_funnel(warehouse, window_days=WINDOW_DAYS, as_of=given.as_of)

    assert found == brute_force(given)


def test_the_streams_reach_every_corner() -> None:
    """Else the comparison above would say little."""
    streams = [stream(seed) for seed in range(SEEDS)]
    found = [brute_force(one) for one in streams]
    assert sum(funnel.closed[-1] for funnel in found) >= 10
    assert sum(funnel.open[0] for funnel in found) >= 20
    assert sum(len(one.merges) for one in streams) >= 40
    unmerged = [brute_force(Stream(one.events, [], one.as_of)) for one in streams]
    assert sum(a != b for a, b in zip(found, unmerged, strict=True)) >= 10


def test_an_empty_history_is_an_empty_funnel(warehouse: Any, load: Any) -> None:
    load(Stream([], [], START))
    assert reference_funnel(warehouse, window_days=3, as_of=START) == Funnel((0,) * 6, (0,) * 6)
    assert rows(warehouse, "select count(*) from raw.events_resolved") == [(0,)]
