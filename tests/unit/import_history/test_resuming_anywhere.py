"""An import that is interrupted anywhere, any number of times, ends with the same events."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desireline.contracts import Header, Topic
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent
from desireline.records import Outgoing
from desireline_operate.import_history.chunks import Chunk
from desireline_operate.import_history.files import Format, digest, inspect_file
from desireline_operate.import_history.formats import SourceSpec
from desireline_operate.import_history.import_file import (
    Options,
    Processes,
    import_file,
    journal_name,
)
from desireline_operate.import_history.journal import Journal
from desireline_operate.import_history.worker import ChunkResult, ImportTask, Worker
from tests.worlds.history_files import PLACE, PLAN, call, ndjson


class CrashError(BaseException):
    """The process ends here."""


class Kafka:
    """The producer port. Crashes, or refuses, at the call of that number."""

    def __init__(self) -> None:
        self.events: list[CanonicalEvent] = []
        self.marks: set[bytes] = set()
        self.calls = 0
        self.crash_at = -1
        self.refusals = 0
        self._waiting: list[Outgoing] = []

    def produce(self, record: Outgoing) -> None:
        assert record.topic == Topic.EVENTS_RECEIVED
        self._count()
        self._waiting.append(record)

    def flush(self, timeout: float) -> None:
        self._count()
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("no broker")
        for _, key, value, headers in self._waiting:
            event = CanonicalEvent.decode(value)
            assert key == event.fragment
            self.events.append(event)
            self.marks.add(headers[Header.REPLAY])
        self._waiting.clear()
        self._count()

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            self.events += [CanonicalEvent.decode(one.value) for one in self._waiting[::2]]
            self._waiting.clear()
            raise CrashError


class Here:
    """Processes that are none: each chunk is taken when it is given."""

    count = 2

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def submit(self, work: ImportTask, chunk: Chunk) -> Future[ChunkResult]:
        future: Future[ChunkResult] = Future()
        try:
            future.set_result(self._worker(work, chunk))
        except UnavailableError as error:
            future.set_exception(error)
        return future


def work_of(path: Path) -> ImportTask:
    return ImportTask(
        file=inspect_file(path), spec=SourceSpec(format=Format.SEGMENT), digest=digest(path)
    )


def run(work: ImportTask, folder: Path, kafka: Kafka) -> Journal:
    with Journal(folder / "journal", folder / "rejects") as journal:
        processes: Any = Here(Worker(PLACE, kafka, PLAN))
        import_file(work, journal, processes, options=Options(chunk_bytes=700))
    return journal


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
)
@given(crashes=st.lists(st.integers(1, 75), max_size=4), seed=st.integers(0, 1_000))
def test_interrupted_anywhere_the_set_of_events_is_the_same(
    tmp_path: Path, crashes: list[int], seed: int
) -> None:
    """Given sixty calls and two broken lines, when the import dies at any calls and is run until it
    ends, then Kafka has exactly the events of an undisturbed run, the rejects are there once, and a
    further run does nothing."""
    folder = tmp_path / f"{seed}-{'-'.join(map(str, crashes))}"
    folder.mkdir(exist_ok=True)
    for name in ("journal", "rejects"):
        (folder / name).unlink(missing_ok=True)
    calls = [call(n) for n in range(60)]
    random.Random(seed).shuffle(calls)
    file = ndjson(folder / "history.ndjson", [*calls[:30], [], *calls[30:], 7])
    work, kafka = work_of(file), Kafka()
    for crash in crashes:
        kafka.calls, kafka.crash_at = 0, crash
        try:
            run(work, folder, kafka)
        except CrashError:
            continue
    kafka.crash_at = -1

    journal = run(work, folder, kafka)

    whole = Kafka()
    other = folder / "other"
    other.mkdir(exist_ok=True)
    for name in ("journal", "rejects"):
        (other / name).unlink(missing_ok=True)
    run(work, other, whole)
    assert {e.event_id for e in kafka.events} == {e.event_id for e in whole.events}
    assert {e.encode() for e in kafka.events} == {e.encode() for e in whole.events}
    assert len(whole.events) == 60
    assert (journal.finished, journal.totals.accepted) == (True, 60)
    rejected = map(json.loads, (folder / "rejects").read_text().splitlines())
    assert sorted(one["line"] for one in rejected) == [31, 62]
    produced = len(kafka.events)
    run(work, folder, kafka)
    assert len(kafka.events) == produced


def test_a_broker_that_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("desireline_operate.import_history.worker.time.sleep", slept.append)
    kafka = Kafka()
    kafka.refusals = 2

    run(work_of(ndjson(tmp_path / "h.ndjson", [call(n) for n in range(4)])), tmp_path, kafka)

    assert slept == [1, 2]
    assert {event.event_id for event in kafka.events} and kafka.marks == {b"import-test"}


def test_a_broker_that_stays_away_stops_the_import_and_a_second_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desireline_operate.import_history.worker.time.sleep", lambda _: None)
    kafka = Kafka()
    kafka.refusals = 4
    work = work_of(ndjson(tmp_path / "h.ndjson", [call(n) for n in range(30)]))
    with pytest.raises(UnavailableError):
        run(work, tmp_path, kafka)

    journal = run(work, tmp_path, kafka)

    assert journal.totals.accepted == 30
    assert len({event.event_id for event in kafka.events}) == 30


def test_the_rate_is_kept(tmp_path: Path) -> None:
    slept: list[float] = []
    work = work_of(ndjson(tmp_path / "h.ndjson", [call(n) for n in range(40)]))
    with Journal(tmp_path / "journal", tmp_path / "rejects") as journal:
        processes: Any = Here(Worker(PLACE, Kafka(), PLAN))
        options = Options(chunk_bytes=700, rate=10)
        import_file(work, journal, processes, options=options, pause=slept.append)

    assert 3 < slept[-1] <= 4


def test_ctrl_c_while_processes_are_started_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given an import that starts its processes, when Ctrl-C is pressed before the first is there,
    then it ends by that once they are, and they with it."""
    processes = Processes(PLACE, 2)
    submit, started = processes._pool.submit, []

    def pressed(what: Any) -> Future[Any]:
        os.kill(os.getpid(), signal.SIGINT)
        future: Future[Any] = submit(what)
        started.extend(multiprocessing.active_children())
        return future

    monkeypatch.setattr(processes._pool, "submit", pressed)

    with pytest.raises(KeyboardInterrupt), processes:
        pytest.fail("it went on")

    assert len(set(started)) == 2
    assert not any(one.is_alive() for one in started)


def test_another_mapping_plan_or_cluster_is_another_import(tmp_path: Path) -> None:
    work = work_of(ndjson(tmp_path / "h.ndjson", [call(1)]))
    other = ImportTask(
        file=work.file,
        spec=SourceSpec(format=Format.SEGMENT, left_out=frozenset({"x"})),
        digest=work.digest,
    )
    names = {
        journal_name(work, cluster="a", plan_version="1"),
        journal_name(work, cluster="b", plan_version="1"),
        journal_name(work, cluster="a", plan_version="2"),
        journal_name(other, cluster="a", plan_version="1"),
    }
    assert len(names) == 4
    assert journal_name(work, cluster="a", plan_version="1") in names
