"""Imported history moves states and scores, and starts no playbook (delivery rule 8)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.hot_leads import hot_script
from desireline.records import Outgoing
from desireline.rows import EnrolmentRow, JourneyRow
from desireline_local.demo.in_memory import InMemoryPipeline
from desireline_operate.import_history.chunks import chunks
from desireline_operate.import_history.files import Format, digest, inspect_file
from desireline_operate.import_history.formats import SourceSpec
from desireline_operate.import_history.worker import ImportTarget, ImportTask, Worker
from tests.worlds.history_files import PLAN, ndjson


def imported(pipeline: InMemoryPipeline, path: Path, calls: Sequence[dict[str, Any]]) -> None:
    """The calls as a Segment archive, imported now."""
    file = ndjson(path, calls)
    now = pipeline.clock.now()
    place = ImportTarget(
        bootstrap="",
        auth="plaintext",
        region="",
        secret=b"any",
        received_at=now,
        stamped=now,
        mark="import-1",
    )
    worker = Worker(place, pipeline.topics, PLAN)
    work = ImportTask(
        file=inspect_file(file), spec=SourceSpec(format=Format.SEGMENT), digest=digest(file)
    )
    for chunk in chunks(work.file):
        assert not worker(work, chunk).rejects
    pipeline.settle()


def enrolments(pipeline: InMemoryPipeline) -> list[EnrolmentRow]:
    return [row for row in pipeline.store.rows.values() if isinstance(row, EnrolmentRow)]


def best(pipeline: InMemoryPipeline) -> int:
    rows = [row for row in pipeline.store.rows.values() if isinstance(row, JourneyRow)]
    return max(row.current.score or 0 for row in rows)


def test_a_trial_that_becomes_hot_by_history_alarms_nobody(tmp_path: Path) -> None:
    """Given the calls of a trial that becomes hot, the last of them a minute ago, when they are
    imported, then it has the score, and no playbook started, though each is young enough to start
    one; delivered by their sender instead, they do start them."""
    script = hot_script()
    now = script.at + 60_000
    calls = [*script.before, script.last]

    history = InMemoryPipeline(namespace=b"any", start=now)
    imported(history, tmp_path / "archive.ndjson", calls)

    live = InMemoryPipeline(namespace=b"any", start=now)
    for record in history.topics.records["events.received"]:
        live.topics.produce(Outgoing(record.topic, record.key.decode(), record.value))
    live.settle()

    assert best(history) >= 90
    assert enrolments(history) == []
    assert history.alerts == []
    assert {one.outcome for one in history.decisions()} <= {"not_enrolled"}
    assert best(live) == best(history)
    assert {one.playbook for one in enrolments(live)} >= {"hot_lead"}


def test_what_came_by_webhook_and_by_file_counts_once(tmp_path: Path) -> None:
    script = hot_script()
    calls = [*script.before, script.last]
    pipeline = InMemoryPipeline(namespace=b"any", start=script.at + 60_000)
    imported(pipeline, tmp_path / "first.ndjson", calls)
    before = {key: row for key, row in pipeline.store.rows.items() if key[0] == "states"}

    imported(pipeline, tmp_path / "again.ndjson", list(reversed(calls)))

    assert {k: row for k, row in pipeline.store.rows.items() if k[0] == "states"} == before
