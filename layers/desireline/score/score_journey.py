"""ScoreJourneys: every changed journey of a batch is read, assessed at once, and written (rule 6).

Optimistic: the journeys row is read first (version v), then the state, and the assessment is
written only if the version still is v, so that what is stored last was computed from a state no
older than that of any earlier score. As of when: the latest event of the merged state, never the
record's own time, so the final score is a function of the set of events, in whatever order and
however often they come.

A subject that was merged is scored at its root. The row of the one that was merged into it stays as
it was: nobody asks for it any more, and the decision about it is history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from desireline.contracts import Component, Header, Topic
from desireline.errors import ConflictError, Failure, RetryableError
from desireline.events import Assessment, IdentityChanged, Reason, ResolvedEvent, Stamps
from desireline.identity.reading import Reading, read_all
from desireline.identity.trace import counting_subject, tracing
from desireline.identity.view import viewing_root
from desireline.journey.crossings import crossings
from desireline.journey.state import JourneyState
from desireline.ports import BatchStore, Clock, Metrics
from desireline.records import BatchResult, Record, Tally
from desireline.rows import JourneyRow, Put
from desireline.score.assess import assess_all, reasons
from desireline.score.models.package import Model
from desireline.set_aside import SetAside

ATTEMPTS = 8
"""How often a conflict is met by reading again, before the records are left to be retried."""
KEPT_CAUSES = 20
"""The latest this many causes of a batch are named; a batch may hold hundreds of one subject."""

_SEEN = ("score", "tier", "stage", "lifecycle")
"""What makes a new assessment worth writing: not a probability that rounds to the same score."""


@dataclass
class _Request:
    """What a batch says of one subject. replayed: all of it is a replay's."""

    records: list[Record] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    stamps: list[Stamps] = field(default_factory=list)

    @property
    def replayed(self) -> bool:
        return all(Header.REPLAY in record.headers for record in self.records)

    def absorb(self, other: _Request) -> None:
        self.records += other.records
        self.causes += other.causes
        self.stamps += other.stamps


@dataclass(frozen=True)
class _Cause:
    """What a record says: its id, its stamps, and the subject that it is about."""

    id: str
    stamps: Stamps
    subject: Reading[str]


@dataclass(frozen=True)
class _Known:
    """A root subject's row, as it was before its state was read."""

    subject: str
    row: JourneyRow | None
    state: JourneyState


class ScoreJourneys:
    """Consumes events.resolved and identity.changed. wall: for stamps alone."""

    def __init__(self, *, store: BatchStore, model: Model, wall: Clock, metrics: Metrics) -> None:
        self._store = store
        self._model = model
        self._wall = wall
        self._metrics = metrics
        self._set_aside = SetAside(
            component=Component.SCORE, store=store, clock=wall, wall=wall, metrics=metrics
        )

    def __call__(self, records: Sequence[Record]) -> BatchResult:
        """Score the subjects that these records name. Subjects are independent: the records of one
        that cannot be read or written are to be retried, those of the others are done."""
        tally = Tally()
        pending = self._requests(records, tally)
        for _ in range(ATTEMPTS):
            pending = self._score(pending, tally) if pending else pending
        for request in pending.values():
            tally.fail(request.records, "conflict")
        return tally.result()

    def _requests(self, records: Sequence[Record], tally: Tally) -> dict[str, _Request]:
        named: list[tuple[Record, _Cause]] = []
        for record in records:
            if record.value is None:
                tally.skipped.append(record)
                continue
            try:
                named.append((record, _cause(record.topic, record.value)))
            except ValidationError as error:
                detail = f"{error.error_count()} errors"
                self._set_aside(record, "unreadable_record", detail, tally)
        subjects = read_all(self._store, [cause.subject for _, cause in named])
        requests: dict[str, _Request] = {}
        for (record, cause), subject in zip(named, subjects, strict=True):
            if isinstance(subject, str):
                request = requests.setdefault(subject, _Request())
                request.absorb(_Request([record], [cause.id], [cause.stamps]))
            else:
                self._fail([record], subject, tally)
        return requests

    def _fail(self, records: Sequence[Record], failure: Failure, tally: Tally) -> None:
        if isinstance(failure, RetryableError):
            tally.fail(records, str(failure))
            return
        for record in records:
            self._set_aside(record, failure.reason, failure.detail, tally)

    def _score(self, requests: Mapping[str, _Request], tally: Tally) -> dict[str, _Request]:
        """One round; returns the requests that met a conflict, by root."""
        readings: dict[str, _Known] = {}
        by_root: dict[str, _Request] = {}
        found = read_all(self._store, [_knowing(subject) for subject in requests])
        for request, reading in zip(requests.values(), found, strict=True):
            if isinstance(reading, _Known):
                readings[reading.subject] = reading
                by_root.setdefault(reading.subject, _Request()).absorb(request)
            else:
                self._fail(request.records, reading, tally)
        known = list(readings.values())
        moments = [(reading.state, reading.state.latest) for reading in known]
        assessed = zip(known, assess_all(self._model, moments), strict=True)
        return self._write(
            {
                reading.subject: self._changed(reading, current, by_root[reading.subject])
                for reading, current in assessed
            },
            by_root,
            tally,
        )

    def _write(
        self, rows: Mapping[str, JourneyRow | None], by_root: Mapping[str, _Request], tally: Tally
    ) -> dict[str, _Request]:
        """Write the rows at once; returns the requests that met a conflict."""
        changed = {subject: row for subject, row in rows.items() if row is not None}
        failures = self._store.write_each([[Put(row)] for row in changed.values()])
        failed = dict(zip(changed, failures, strict=True))
        again: dict[str, _Request] = {}
        for subject, request in by_root.items():
            failure = failed.get(subject)
            if isinstance(failure, ConflictError):
                self._metrics.count("score_conflicts")
                again[subject] = request
            elif failure is not None:
                self._fail(request.records, failure, tally)
            else:
                tally.done += request.records
                if subject in changed:
                    self._metrics.count("journeys_scored")
        return again

    def _changed(
        self, reading: _Known, current: Assessment, request: _Request
    ) -> JourneyRow | None:
        """The row with this assessment; None if it says nothing new."""
        stored = reading.row.current if reading.row else None
        previous = _announced(reading.row, replayed=request.replayed)
        if not reading.state.counts or (_same(stored, current) and _same(previous, current)):
            return None
        why: tuple[Reason, ...] = reading.row.reasons if reading.row else ()
        if crossings(previous, current):
            why = reasons(self._model, reading.state, current.as_of)
        stamps = _earliest(request.stamps).model_copy(update={"scored": self._wall.now()})
        row = reading.row or JourneyRow(subject=reading.subject, current=current)
        changes = {
            "current": current,
            "reasons": why,
            "causes": tuple(request.causes[-KEPT_CAUSES:]),
            "stamps": stamps,
            "replayed": request.replayed,
            "before": _announced(reading.row, replayed=False) if request.replayed else None,
        }
        return row.but(**changes)


def _cause(topic: str, value: bytes) -> _Cause:
    """Raises ValidationError."""
    if topic == Topic.IDENTITY_CHANGED:
        change = IdentityChanged.decode(value)
        return _Cause(change.id, change.stamps, _as_named(change.subject))
    resolved = ResolvedEvent.decode(value)
    return _Cause(resolved.event.event_id, resolved.event.stamps, counting_subject(resolved))


def _as_named(subject: str) -> Reading[str]:
    yield from ()
    return subject


def _knowing(subject: str) -> Reading[_Known]:
    """The row before the state, both of the root: the root is found before its state is read, so
    that a tombstone costs no state. Raises ConflictError."""
    for _ in range(ATTEMPTS):
        ref = JourneyRow.ref_to(subject)
        row = (yield [ref]).get(ref)
        root, passed = yield from tracing(subject)
        if root.subject == subject:
            view = yield from viewing_root(root, passed)
            return _Known(subject, row, view.state)
        subject = root.subject
    raise ConflictError(f"subject {subject}: merged again and again")


def _announced(row: JourneyRow | None, *, replayed: bool) -> Assessment | None:
    """What a new assessment is compared with: to a replay what there is, to anything else what was
    there before replays alone changed it, so that playbooks hear of it then."""
    if row is None:
        return None
    return row.before if row.replayed and not replayed else row.current


def _same(previous: Assessment | None, current: Assessment) -> bool:
    return previous is not None and all(
        getattr(previous, name) == getattr(current, name) for name in _SEEN
    )


def _earliest(stamps: Iterable[Stamps]) -> Stamps:
    """Those of what was received first: which record of a batch moved the score is not known, and
    so a promise is measured on the one that waited longest."""
    return min(stamps, key=lambda found: (found.received is None, found.received or 0))
