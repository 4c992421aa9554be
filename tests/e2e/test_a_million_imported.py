"""A million past events out of a file, by the command that a person types: killed, gone on with,
repeated; then counted by the running cloud."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from bench.resolve import Nowhere
from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.events import CanonicalEvent
from desireline.receive.mapping.canonical import event_id
from desireline.records import Record
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import StateRow
from desireline_learning.simulator.senders import iso
from desireline_local import supervisor
from desireline_local.cloud import Addresses

EVENTS, PERSONS, DAYS = 1_000_000, 2_000, 14
START, DAY = 1_767_571_200_000, 86_400_000
DESIRELINE = Path(sys.executable).with_name("desireline")
CHUNKS = 60
"""Of the archive's 195, so many are in Kafka when the import is killed."""
BATCH = 500


@dataclass(slots=True)
class Ran:
    """A run of the command. memory: bytes of all its processes at their most."""

    code: int
    said: str
    seconds: float
    memory: int


def calls() -> Iterator[bytes]:
    """Sorted by person, as docs/import.md advises: some days of a trial each."""
    each = EVENTS // PERSONS
    for number in range(EVENTS):
        person, nth = divmod(number, each)
        at = START - 90 * DAY + (person % 60) * DAY + nth * DAYS * DAY // each
        yield orjson.dumps(
            {
                "type": "track",
                "messageId": f"past-{number}",
                "timestamp": iso(at),
                "userId": f"u{person}",
                "event": "Feature Used",
                "properties": {"feature_name": "board", "engagement_depth": nth % 5},
                "context": {"groupId": f"g{person // 3}"},
            }
        )


@pytest.fixture
def cloud() -> Iterator[Addresses]:
    subprocess.run([str(DESIRELINE), "up"], check=True)
    try:
        yield supervisor.running().addresses
    finally:
        subprocess.run([str(DESIRELINE), "down"], check=True)


def imported(archive: Path, *, killed_after: int | None = None) -> Ran:
    """`desireline import`, to its end, or killed with -9 after so many chunks."""
    command = [str(DESIRELINE), "import", str(archive), "--state", str(archive.parent / "state")]
    said = archive.with_suffix(f".said-{uuid4().hex[:4]}")
    began, memory = time.monotonic(), 0
    with said.open("wb") as out, psutil.Popen(command, stdout=out, stderr=out) as running:
        while running.poll() is None:
            memory = max(memory, _resident(running))
            if killed_after is not None and chunks_done(archive) > killed_after:
                running.kill()
            time.sleep(0.2)
    return Ran(running.returncode, said.read_text(), time.monotonic() - began, memory)


def chunks_done(archive: Path) -> int:
    """Lines of the import's journal."""
    journals = (archive.parent / "state").glob("*.ndjson")
    return sum(journal.read_bytes().count(b"\n") for journal in journals)


def _resident(head: psutil.Process) -> int:
    total = 0
    try:
        for member in (head, *head.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def in_kafka(cloud: Addresses) -> Iterator[Record]:
    """Every record of events.received, partition by partition."""
    topic = Topic.EVENTS_RECEIVED.value
    consumer = Consumer({"bootstrap.servers": cloud.kafka, "group.id": "oracle"})
    for number in consumer.list_topics(topic).topics[topic].partitions:
        place = TopicPartition(topic, number, 0)
        left = consumer.get_watermark_offsets(place)[1]
        consumer.assign([place])
        while left:
            messages: list[Any] = consumer.consume(min(10_000, left), timeout=30)
            for found in messages:
                headers = dict(found.headers() or ())
                yield Record(topic, number, found.offset(), 0, found.key(), found.value(), headers)
                left -= 1
    consumer.close()


@dataclass(slots=True)
class Counting:
    """What resolve's own rules count of records, on tables in memory: the local DynamoDB takes some
    hundred writes a second."""

    records: int = 0
    ids: set[str] = field(default_factory=set)
    store: MemoryStore = field(default_factory=MemoryStore)

    def take(self, records: Iterable[Record]) -> int:
        """Events counted in the end."""
        nowhere = Nowhere()
        resolve = ResolveIdentity(
            store=self.store, producer=nowhere, clock=nowhere, wall=nowhere, metrics=nowhere
        )
        batches = iter(records)
        while batch := list(itertools.islice(batches, BATCH)):
            self.records += len(batch)
            self.ids |= {CanonicalEvent.decode(one.value or b"").event_id for one in batch}
            assert not resolve(batch).failed
            self.store.streams.clear()
        states = [row for row in self.store.rows.values() if isinstance(row, StateRow)]
        return sum(sum(row.state.counts.values()) for row in states)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_million_past_events_are_counted_once_each(cloud: Addresses, tmp_path: Path) -> None:
    """Given an archive of a million calls, when its import is killed with -9, run again to its end
    and once more, then Kafka has every event, only what was on its way when it was killed twice,
    the last run sends nothing, and each event is counted once."""
    archive = tmp_path / "archive.ndjson"
    with archive.open("wb") as file:
        file.writelines(call + b"\n" for call in calls())

    killed = imported(archive, killed_after=CHUNKS)
    rest = imported(archive)
    again = imported(archive)

    print(killed, rest, again, sep="\n", flush=True)  # noqa: T201 — its figures, with pytest -s
    assert (killed.code, rest.code, again.code) == (-9, 0, 0)
    assert "continues after" in rest.said
    assert "already imported" in again.said
    counting = Counting()
    counted = counting.take(in_kafka(cloud))
    print(f"{counting.records:,} records, {counted:,} counted", flush=True)  # noqa: T201
    assert counting.ids == {event_id("segment", f"past-{number}") for number in range(EVENTS)}
    assert counting.records - EVENTS < EVENTS / 50, "more than what was on its way came twice"
    assert counted == EVENTS
