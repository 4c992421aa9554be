"""import.*: a Segment archive from its file into Kafka, acknowledged by all of three replicas.

Each side runs in a fresh process, in turn, from start to end: ours as `desireline import` runs it,
a process a core; and the usual script, `json.loads`, `Model(**…)`, one idempotent producer. The
script has one process, so the two are compared by CPU an event and not by their rates.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.receive import Call, call
from bench.receive_senders import in_a_process
from desireline.adapters.kafka import KafkaProducer
from desireline.contracts import TOPICS, Topic
from desireline.records import Outgoing
from desireline_local.kafka.broker import Kafka, create_topics
from desireline_operate.import_history.files import digest, inspect_file
from desireline_operate.import_history.formats import SourceSpec
from desireline_operate.import_history.import_file import Options, Processes, cores, import_file
from desireline_operate.import_history.journal import Journal
from desireline_operate.import_history.worker import ImportTarget, ImportTask

EVENTS, ROUNDS, REPLICAS = 300_000, 3, 3
TARGET = 20_000
DAY = 86_400_000
NOW = 1_767_600_000_000
PORTION = 2_000
"""Events between two flushes of the script: as many as a chunk of ours holds."""


def measure(events: int = EVENTS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """The rows, medians of the rounds."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Kafka(Path(folder) / "k", nodes=REPLICAS) as kafka,
    ):
        topic = Topic.EVENTS_RECEIVED
        create_topics(
            kafka.bootstrap, {topic.value: TOPICS[topic].partitions_dev}, replicas=REPLICAS
        )
        archive = Path(folder) / "archive.ndjson"
        with archive.open("wb") as file:
            file.writelines(lines(events))
        found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for number in range(rounds):
            for side, figures in found.items():
                place = Path(folder) / f"{side}-{number}"
                place.mkdir()
                where = (kafka.bootstrap, str(archive), str(place))
                figures.append(in_a_process("imports", side, *where))
    ours, peer = (
        {name: median(one[name] for one in figures) for name in figures[0]}
        for figures in found.values()
    )
    by = "json.loads, Model(**…), one producer"
    rate = ours["rate"]
    return [
        {"name": "import.rate", "value": rate, "unit": "1/s", "target": f"≥ {TARGET:,}",
         "met": rate >= TARGET},
        {"name": "import.cpu_per_event", "value": ours["cpu"], "unit": "µs", "peer": by,
         "peer_value": peer["cpu"]},
        {"name": "import.memory", "value": ours["memory"], "unit": "MB of the largest process"},
    ]  # fmt: skip


def lines(events: int) -> Iterator[bytes]:
    """Calls of three months, in the order of their time."""
    for number in range(events):
        at = NOW - 90 * DAY + number * 90 * DAY // events
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at / 1000))
        yield orjson.dumps({**call(number), "timestamp": stamp}) + b"\n"


def ours(bootstrap: str, archive: Path, folder: Path) -> int:
    """As `desireline import` does it."""
    place = ImportTarget(
        bootstrap=bootstrap,
        auth="plaintext",
        region="",
        secret=b"benchmark",
        received_at=NOW,
        stamped=NOW,
        mark="import-benchmark",
    )
    file = inspect_file(archive)
    assert file.format is not None
    work = ImportTask(file=file, spec=SourceSpec(format=file.format), digest=digest(archive))
    with (
        Processes(place, cores()) as processes,
        Journal(folder / "journal", folder / "rejects") as journal,
    ):
        import_file(work, journal, processes, options=Options())
    assert not journal.totals.rejected, journal.totals.rejected
    return journal.totals.accepted


def peer(bootstrap: str, archive: Path, folder: Path) -> int:
    """What one would write in an afternoon."""
    producer = KafkaProducer(bootstrap, "plaintext", probe=Topic.EVENTS_RECEIVED)
    count = 0
    with archive.open("rb") as file:
        for line in file:
            one = Call(**json.loads(line))
            producer.produce(
                Outgoing(Topic.EVENTS_RECEIVED, one.userId, one.model_dump_json().encode())
            )
            count += 1
            if count % PORTION == 0:
                producer.flush(30)
    producer.flush(30)
    return count


def main() -> None:
    """One side in this process; its figures as JSON."""
    side, bootstrap, archive, place = sys.argv[1:]
    began = time.perf_counter()
    count = {"ours": ours, "peer": peer}[side](bootstrap, Path(archive), Path(place))
    seconds = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    figures = {
        "rate": count / seconds,
        "cpu": cpu / count * 1e6,
        "memory": max(one.ru_maxrss for one in used) / 1000,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
