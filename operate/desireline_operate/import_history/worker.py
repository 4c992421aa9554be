"""What one process of an import does: read a chunk, map its rows, produce, wait for Kafka.

One idempotent producer a process. A chunk is reported when all in-sync replicas have all of it;
what is interrupted before is taken again by the next run and counted once.
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
from desireline_operate.import_history.formats import Source, SourceSpec, source_of, with_words
from desireline_operate.import_history.rows import Row, reader

FLUSH_SECONDS = 30.0
ATTEMPTS = 4
UNREADABLE = "unreadable"
WITHHELD = "its person does not want it taken"
_NO_TIME = InvalidEventError("no_time", "history needs the time of each event")
_BROKEN_ROW = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, RefusedError,
               TypeError, ValueError)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where events go. bootstrap: empty if they are only mapped. received_at, stamped: journey and
    wall time of the import, epoch ms. mark: the import's id, which says on every record that it is
    history and starts nothing."""

    bootstrap: str
    auth: Auth
    region: str
    secret: bytes
    received_at: int
    stamped: int
    mark: str
    suppressed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The file that a chunk is of, and how its rows are read. digest: of the file's bytes."""

    file: HistoryFile
    spec: SourceSpec
    digest: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, as it stands in the file."""

    line: int
    reason: str
    detail: str
    text: str


@dataclass(slots=True)
class Done:
    """What became of a chunk's rows: each is in exactly one of these."""

    number: int
    share: float
    accepted: int = 0
    rejects: list[Reject] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Rows:
    """Maps rows of one source."""

    def __init__(self, source: Source, mapper: EventMapper, place: Place, raw_id: str) -> None:
        self._source = source
        self._mapper = mapper
        self._place = place
        self._arrival = Arrival(raw_id, place.received_at, place.stamped)

    def mapped(self, rows: Iterable[Row], done: Done) -> Iterator[tuple[str, bytes]]:
        """Fragment and event of each row that is one; the rest goes into `done`."""
        for row in rows:
            if row.broken:
                done.rejects.append(Reject(row.line, row.broken, "", row.text))
                continue
            try:
                result = self._map(row, done)
            except _BROKEN_ROW as error:
                done.rejects.append(Reject(row.line, UNREADABLE, type(error).__name__, row.text))
                continue
            if isinstance(result, Mapped):
                yield result.fragment, result.event
            elif isinstance(result, Rejected):
                broken_rule = result.error
                done.rejects.append(
                    Reject(row.line, broken_rule.reason, broken_rule.detail, row.text)
                )

    def _map(self, row: Row, done: Done) -> Mapped | Rejected | None:
        """Map a row. What is no event and no error is counted in `done`, and None is returned."""
        source = self._source
        report = source.report(row.value)
        name = report.event or report.call
        if report.event in source.left_out or report.call in source.left_out:
            done.left_out[name] += 1
            return None
        if report.occurred_at is None:
            return Rejected(row.line, report, _NO_TIME)
        result = self._mapper.map_one(
            source.name,
            report,
            self._arrival,
            row.line,
            mapped_as=source.mapped_as,
            suppressed=self._place.suppressed,
        )
        if isinstance(result, Withheld):
            done.left_out[f"{WITHHELD}, {result.reason}"] += 1
            return None
        if isinstance(result, Ignored):
            done.left_out[name] += 1
            return None
        return result


class Worker:
    """Takes chunks of any of an import's files. producer: None where events are only mapped."""

    def __init__(self, place: Place, producer: Producer | None, plan: TrackingPlan) -> None:
        self._place = place
        self._producer = producer
        self._plan = plan
        self._mark: dict[str, bytes] = {Header.REPLAY: place.mark.encode()}
        self._rows: dict[str, Rows] = {}

    def __call__(self, work: Work, chunk: Chunk) -> Done:
        """Raises UnavailableError when Kafka does not take the chunk; any of it may be there."""
        done = Done(chunk.number, chunk.share)
        if work.digest not in self._rows:
            self._rows = {work.digest: self._rows_of(work)}
        rows = self._rows[work.digest]
        events = list(rows.mapped(reader(work.file)(chunk), done))
        done.accepted = len(events)
        if self._producer is not None and events:
            self._produce(self._producer, events)
        return done

    def _rows_of(self, work: Work) -> Rows:
        plan = with_words(self._plan, work.spec)
        mapper = EventMapper.with_secret(plan, self._place.secret)
        return Rows(source_of(work.spec, plan), mapper, self._place, f"import-{work.digest[:32]}")

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


def begin(place: Place, parent: int) -> None:
    """Called first in a process of its own, which was started deaf to Ctrl-C; it ends with its
    parent, also where that has ended before this is called."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    producer = None
    if place.bootstrap:
        producer = KafkaProducer(
            place.bootstrap, place.auth, probe=Topic.EVENTS_RECEIVED, region=place.region
        )
    _workers[:] = [Worker(place, producer, load_plan())]


def take(work: Work, chunk: Chunk) -> Done:
    """One chunk, in such a process."""
    return _workers[0](work, chunk)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
