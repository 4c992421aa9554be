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
from desireline.errors import (
    IgnoredEventError,
    InvalidEventError,
    RefusedError,
    UnavailableError,
    WithheldError,
)
from desireline.identity.aliases import Fragments
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.ports import Producer
from desireline.receive.mapping.canonical import Canonical
from desireline.records import Outgoing
from desireline_operate.import_history.chunks import Chunk
from desireline_operate.import_history.files import HistoryFile
from desireline_operate.import_history.formats import Source, SourceSpec, source_of, with_words
from desireline_operate.import_history.rows import Row, reader

FLUSH_SECONDS = 30.0
ATTEMPTS = 4
UNREADABLE = "unreadable"
WITHHELD = "its person does not want it taken"
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

    def __init__(self, source: Source, canonical: Canonical, place: Place, raw_id: str) -> None:
        self._source = source
        self._canonical = canonical
        self._place = place
        self._raw_id = raw_id

    def mapped(self, rows: Iterable[Row], done: Done) -> Iterator[tuple[str, bytes]]:
        """Fragment and event of each row that is one; the rest goes into `done`."""
        source, place, encoded = self._source, self._place, self._canonical.encoded
        report, left_out, raw_id = source.report, source.left_out, self._raw_id
        for row in rows:
            if row.broken:
                done.rejects.append(Reject(row.line, row.broken, "", row.text))
                continue
            try:
                reported = report(row.value)
                if reported.event in left_out or reported.call in left_out:
                    done.left_out[reported.event or reported.call] += 1
                    continue
                if reported.occurred_at is None:
                    raise InvalidEventError("no_time", "history needs the time of each event")
                yield encoded(
                    source.name,
                    reported,
                    raw_id,
                    row.line,
                    received_at=place.received_at,
                    stamped=place.stamped,
                    mapped_as=source.mapped_as,
                    suppressed=place.suppressed,
                )
            except WithheldError as error:
                done.left_out[f"{WITHHELD}, {error.reason}"] += 1
            except IgnoredEventError:
                done.left_out[reported.event or reported.call] += 1
            except InvalidEventError as error:
                done.rejects.append(Reject(row.line, error.reason, error.detail, row.text))
            except _BROKEN_ROW as error:
                done.rejects.append(Reject(row.line, UNREADABLE, type(error).__name__, row.text))


class Worker:
    """Takes chunks of any of an import's files. producer: None where events are only mapped."""

    def __init__(self, place: Place, producer: Producer | None, plan: TrackingPlan) -> None:
        self._place = place
        self._producer = producer
        self._plan = plan
        self._fragments = Fragments(place.secret)
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
        canonical = Canonical(plan, self._fragments)
        return Rows(
            source_of(work.spec, plan), canonical, self._place, f"import-{work.digest[:32]}"
        )

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
