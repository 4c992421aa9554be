"""An import into the real broker, killed with -9 again and again, and with the broker away."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from desireline.contracts import Header, Topic
from desireline.events import CanonicalEvent
from desireline.receive.canonical import event_id
from desireline_local.kafka.broker import Kafka, create_topics
from tests.unit.history.test_cutting_and_resuming import call
from tests.unit.history.writing import ndjson

EVENTS = 12_000
SCRIPT = Path(__file__).parent / "import_here.py"


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """Three brokers, so that all replicas is more than one."""
    with Kafka(tmp_path / "kafka", nodes=3) as kafka:
        create_topics(kafka.bootstrap, {Topic.EVENTS_RECEIVED: 8}, replicas=3)
        yield kafka


def begin(kafka: Kafka, file: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), kafka.bootstrap, str(file), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def received(kafka: Kafka) -> list[tuple[CanonicalEvent, dict[str, bytes]]]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "oracle"})
    places = [TopicPartition(Topic.EVENTS_RECEIVED, number, 0) for number in range(8)]
    missing = sum(_end(consumer, place) for place in places)
    consumer.assign(places)
    found = []
    until = time.monotonic() + 60
    while len(found) < missing:
        assert time.monotonic() < until, f"{len(found)} of {missing} records can be read"
        for message in consumer.consume(min(5_000, missing - len(found)), timeout=10):
            if message.error() is not None:  # A broker that came back leads nothing yet.
                continue
            event = CanonicalEvent.decode(message.value() or b"")
            found.append((event, dict(message.headers() or ())))
    consumer.close()
    return found


def _end(consumer: Consumer, place: TopicPartition) -> int:
    for _ in range(20):
        try:
            return int(consumer.get_watermark_offsets(place, timeout=5)[1])
        except KafkaException:  # A broker that came back leads nothing yet.
            time.sleep(0.5)
    raise AssertionError(f"{place} has no leader")


def test_killed_again_and_again_every_event_is_in_kafka(own_kafka: Kafka, tmp_path: Path) -> None:
    """Given twelve thousand events, when the import is killed with -9 three times, a broker too,
    and is run again to its end, then Kafka has each event, marked as history, under the id that its
    sender gave it; no process is left over; and a further run sends nothing."""
    file = ndjson(tmp_path / "archive.ndjson", [*[call(n) for n in range(EVENTS)], []])
    rng = random.Random(3)
    for patience in (rng.uniform(0.5, 1.5), rng.uniform(2.5, 3.5), rng.uniform(3.5, 4.5)):
        running = begin(own_kafka, file, tmp_path)
        time.sleep(patience)
        children = psutil.Process(running.pid).children() if running.poll() is None else []
        running.kill()
        # Its children hold the other end of the pipes: an orphan would keep this waiting.
        running.communicate(timeout=30)
        gone, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, f"{len(gone)} ended, and {alive} did not"
    own_kafka.kill(own_kafka.nodes[2])

    last = begin(own_kafka, file, tmp_path)
    out, err = last.communicate(timeout=120)

    assert last.returncode == 0, err[-3000:]
    assert out.split() == [str(EVENTS), "1"]
    own_kafka.start_node(own_kafka.nodes[2])
    own_kafka.wait(own_kafka.nodes[2])
    found = received(own_kafka)
    ids = {event.event_id for event, _ in found}
    assert ids == {event_id("segment", f"m{n}") for n in range(EVENTS)}
    assert {headers[Header.REPLAY] for _, headers in found} == {b"import-1"}
    assert len((tmp_path / "rejects").read_text().splitlines()) == 1
    again = begin(own_kafka, file, tmp_path)
    again.communicate(timeout=60)
    assert len(received(own_kafka)) == len(found)
