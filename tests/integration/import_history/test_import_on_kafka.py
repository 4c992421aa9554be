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

from bench.read_topic import read_topic
from desireline.contracts import Header, Topic
from desireline.events import CanonicalEvent
from desireline.receive.mapping.canonical import event_id
from desireline_local.kafka.broker import Kafka, create_topics
from tests.worlds.history_files import call, ndjson

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
    return [
        (CanonicalEvent.decode(message.value() or b""), dict(message.headers() or ()))
        for message in read_topic(kafka.bootstrap, Topic.EVENTS_RECEIVED)
    ]


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
        running.communicate(timeout=120)
        gone, alive = psutil.wait_procs(children, timeout=120)
        assert not alive, f"{len(gone)} ended, and {alive} did not"
    own_kafka.kill(own_kafka.nodes[2])

    last = begin(own_kafka, file, tmp_path)
    out, err = last.communicate(timeout=600)

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
    again.communicate(timeout=300)
    assert len(received(own_kafka)) == len(found)
