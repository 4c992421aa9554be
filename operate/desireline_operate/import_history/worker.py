"""The work of one import process: read a chunk, map its rows, produce events, wait for Kafka.

Each process has one idempotent producer. A chunk is finished when all in-sync replicas have all of
it. The next run imports an interrupted chunk again, and its events still count once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from desireline.adapters.kafka import Auth, KafkaProducer
from desireline.contracts import Header, Topic
from desireline.errors import InvalidEventError, RefusedError, UnavailableError
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.ports import Producer
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Ignored,
    Mapped,
    Rejected,
    Withheld,
)
from desireline.records import Outgoing
from desireline_operate.import_history.chunks import Chunk
from desireline_operate.import_history.files import HistoryFile
from desireline_operate.import_history.formats import (
    Source,
    SourceSpec,
    plan_with_mapping,
    source_of,
)
from desireline_operate.import_history.rows import Row, reader

FLUSH_SECONDS = 30.0
ATTEMPTS = 4
UNREADABLE = "unreadable"
WITHHELD = "its person does not want it taken"
_NO_TIME = InvalidEventError("no_time", "history needs the time of each event")
_BROKEN_ROW = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, RefusedError,
               TypeError, ValueError)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTarget:
    """The Kafka cluster to which an import produces, and what all its events share.

    bootstrap: empty for a dry run. received_at, stamped: journey and wall time of the import,
    epoch ms. mark: the import's id; it marks every record as history, which starts no playbook."""

    bootstrap: str
    auth: Auth
    region: str
    secret: bytes
    received_at: int
    stamped: int
    mark: str
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTask:
    """A file to import and the description of its source. digest: SHA-256 of the file's bytes."""

    file: HistoryFile
    spec: SourceSpec
    digest: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected row. text: the row as in the file."""

    line: int
    reason: str
    detail: str
    text: str


@dataclass(slots=True)
class ChunkResult:
    """The result of a chunk. Each row is accepted, rejected or left out. share: the part of the
    file up to the end of the chunk, 0 to 1."""

    number: int
    share: float
    accepted: int = 0
    rejects: list[Reject] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class RowMapper:
    """Maps the rows of one source to events."""

    def __init__(
        self, source: Source, mapper: EventMapper, target: ImportTarget, raw_id: str
    ) -> None:
        self._source = source
        self._mapper = mapper
        self._target = target
        self._arrival = Arrival(raw_id, target.received_at, target.stamped)

    def map_rows(
        self, rows: Iterable[Row], chunk_result: ChunkResult
    ) -> Iterator[tuple[str, bytes]]:
        """Yield fragment and event of each accepted row. Count the others in `chunk_result`."""
        for row in rows:
            if row.broken:
                chunk_result.rejects.append(Reject(row.line, row.broken, "", row.text))
                continue
            try:
                result = self._map(row, chunk_result)
            except _BROKEN_ROW as error:
                chunk_result.rejects.append(
                    Reject(row.line, UNREADABLE, type(error).__name__, row.text)
                )
                continue
            if isinstance(result, Mapped):
                yield result.fragment, result.event
            elif isinstance(result, Rejected):
                broken_rule = result.error
                chunk_result.rejects.append(
                    Reject(row.line, broken_rule.reason, broken_rule.detail, row.text)
                )

    def _map(self, row: Row, chunk_result: ChunkResult) -> Mapped | Rejected | None:
        """Map a row. Returns None for a row that is left out, and counts it in `chunk_result`."""
        source = self._source
        report = source.report(row.value)
        name = report.event or report.call
        if report.event in source.left_out or report.call in source.left_out:
            chunk_result.left_out[name] += 1
            return None
        if report.occurred_at is None:
            return Rejected(row.line, report, _NO_TIME)
        result = self._mapper.map_one(
            source.name,
            report,
            self._arrival,
            row.line,
            mapped_as=source.mapped_as,
            suppressed=self._target.suppressed,
        )
        if isinstance(result, Withheld):
            chunk_result.left_out[f"{WITHHELD}, {result.reason}"] += 1
            return None
        if isinstance(result, Ignored):
            chunk_result.left_out[name] += 1
            return None
        return result


class Worker:
    """Imports chunks of any of an import's files. producer: None for a dry run."""

    def __init__(self, target: ImportTarget, producer: Producer | None, plan: TrackingPlan) -> None:
        self._target = target
        self._producer = producer
        self._plan = plan
        self._mark: dict[str, bytes] = {Header.REPLAY: target.mark.encode()}
        self._rows: dict[str, RowMapper] = {}

    def __call__(self, task: ImportTask, chunk: Chunk) -> ChunkResult:
        """Import a chunk. Raises UnavailableError if Kafka does not accept all of it; a part of its
        events may then be in Kafka."""
        chunk_result = ChunkResult(chunk.number, chunk.share)
        if task.digest not in self._rows:
            self._rows = {task.digest: self._rows_of(task)}
        rows = self._rows[task.digest]
        events = list(rows.map_rows(reader(task.file)(chunk), chunk_result))
        chunk_result.accepted = len(events)
        if self._producer is not None and events:
            self._produce(self._producer, events)
        return chunk_result

    def _rows_of(self, task: ImportTask) -> RowMapper:
        plan = plan_with_mapping(self._plan, task.spec)
        mapper = EventMapper.with_secret(plan, self._target.secret)
        raw_id = f"import-{task.digest[:32]}"
        return RowMapper(source_of(task.spec, plan), mapper, self._target, raw_id)

    def _produce(self, producer: Producer, events: list[tuple[str, bytes]]) -> None:
        mark, topic = self._mark, Topic.EVENTS_RECEIVED.value
        for attempt in range(1, ATTEMPTS + 1):
            try:
                for fragment, event in events:
                    producer.produce(Outgoing(topic, fragment, event, mark))
                producer.flush(FLUSH_SECONDS)
            except UnavailableError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(attempt)
            else:
                return


_workers: list[Worker] = []


def start_worker(target: ImportTarget, parent: int) -> None:
    """Prepare a worker process, which ignores Ctrl-C.

    The process ends with its parent, even if the parent has ended before this call."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    producer = None
    if target.bootstrap:
        producer = KafkaProducer(
            target.bootstrap, target.auth, probe=Topic.EVENTS_RECEIVED, region=target.region
        )
    _workers[:] = [Worker(target, producer, load_plan())]


def import_chunk(task: ImportTask, chunk: Chunk) -> ChunkResult:
    """Import a chunk in a process that `start_worker` has prepared."""
    return _workers[0](task, chunk)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
