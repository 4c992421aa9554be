"""ScoreJourneys: read, assess and write every changed journey of a batch (delivery rule 6).

It reads the journeys row first (version v), then the state. It writes the assessment only if the
version is still v. So a stored score never comes from an older state than an earlier stored score.

The assessment is as of the latest event of the merged state, not as of the record's time. So the
final score depends only on the set of events, not on their order or repetition.

A merged subject is scored at its root. The row of the subject that was merged into it stays
unchanged, because nothing reads it any more.
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
"""The most attempts after conflicts. Then the records fail, and Lambda retries them."""
KEPT_CAUSES = 20
"""The most causes in a row, the latest of a batch. A batch may have hundreds for a subject."""

_COMPARED = ("score", "tier", "stage", "lifecycle")
"""The fields that make an assessment new. A change of the probability alone is not written."""


@dataclass
class _Request:
    """The records of a batch about one subject. replayed: whether all come from a replay."""

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
    """The content of a record: its id, its stamps, and a reading that returns its subject."""

    id: str
    stamps: Stamps
    subject: Reading[str]


@dataclass(frozen=True)
class _Journey:
    """A root subject: its state, and its row from before the read of the state."""

    subject: str
    row: JourneyRow | None
    state: JourneyState


class ScoreJourneys:
    """Reads events.resolved and identity.changed. wall: the wall clock, for stamps."""

    def __init__(self, *, store: BatchStore, model: Model, wall: Clock, metrics: Metrics) -> None:
        self._store = store
        self._model = model
        self._wall = wall
        self._metrics = metrics
        self._set_aside = SetAside(
            component=Component.SCORE, store=store, clock=wall, wall=wall, metrics=metrics
        )

    def __call__(self, records: Sequence[Record]) -> BatchResult:
        """Score the subjects of these records. Subjects are independent: if one cannot be read or
        written, only its records fail."""
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
        """Read, assess and write once. Returns the requests that had a conflict, by root."""
        journeys: dict[str, _Journey] = {}
        by_root: dict[str, _Request] = {}
        results = read_all(self._store, [_reading_journey(subject) for subject in requests])
        for request, result in zip(requests.values(), results, strict=True):
            if isinstance(result, _Journey):
                journeys[result.subject] = result
                by_root.setdefault(result.subject, _Request()).absorb(request)
            else:
                self._fail(request.records, result, tally)
        moments = [(journey.state, journey.state.latest) for journey in journeys.values()]
        assessed = zip(journeys.values(), assess_all(self._model, moments), strict=True)
        return self._write(
            {
                journey.subject: self._changed(journey, current, by_root[journey.subject])
                for journey, current in assessed
            },
            by_root,
            tally,
        )

    def _write(
        self, rows: Mapping[str, JourneyRow | None], by_root: Mapping[str, _Request], tally: Tally
    ) -> dict[str, _Request]:
        """Write the rows. Returns the requests that had a conflict."""
        changed = {subject: row for subject, row in rows.items() if row is not None}
        failures = self._store.write_each([[Put(row)] for row in changed.values()])
        failed = dict(zip(changed, failures, strict=True))
        conflicting: dict[str, _Request] = {}
        for subject, request in by_root.items():
            failure = failed.get(subject)
            if isinstance(failure, ConflictError):
                self._metrics.count("score_conflicts")
                conflicting[subject] = request
            elif failure is not None:
                self._fail(request.records, failure, tally)
            else:
                tally.done += request.records
                if subject in changed:
                    self._metrics.count("journeys_scored")
        return conflicting

    def _changed(
        self, journey: _Journey, current: Assessment, request: _Request
    ) -> JourneyRow | None:
        """Return the row with a new assessment, or None if the assessment is not new."""
        stored = journey.row.current if journey.row else None
        previous = _announced(journey.row, replayed=request.replayed)
        if not journey.state.counts or (_same(stored, current) and _same(previous, current)):
            return None
        current_reasons: tuple[Reason, ...] = journey.row.reasons if journey.row else ()
        if crossings(previous, current):
            current_reasons = reasons(self._model, journey.state, current.as_of)
        stamps = _earliest(request.stamps).model_copy(update={"scored": self._wall.now()})
        row = journey.row or JourneyRow(subject=journey.subject, current=current)
        changes = {
            "current": current,
            "reasons": current_reasons,
            "causes": tuple(request.causes[-KEPT_CAUSES:]),
            "stamps": stamps,
            "replayed": request.replayed,
            "before": _announced(journey.row, replayed=False) if request.replayed else None,
        }
        return row.but(**changes)


def _cause(topic: str, value: bytes) -> _Cause:
    """Decode a record of the topic. Raises ValidationError."""
    if topic == Topic.IDENTITY_CHANGED:
        change = IdentityChanged.decode(value)
        return _Cause(change.id, change.stamps, _as_named(change.subject))
    resolved = ResolvedEvent.decode(value)
    return _Cause(resolved.event.event_id, resolved.event.stamps, counting_subject(resolved))


def _as_named(subject: str) -> Reading[str]:
    yield from ()
    return subject


def _reading_journey(subject: str) -> Reading[_Journey]:
    """Read the root's journeys row, then its state. The state of a tombstone is not read.

    Raises ConflictError if the subject was merged during each of ATTEMPTS attempts."""
    for _ in range(ATTEMPTS):
        ref = JourneyRow.ref_to(subject)
        row = (yield [ref]).get(ref)
        root, passed = yield from tracing(subject)
        if root.subject == subject:
            view = yield from viewing_root(root, passed)
            return _Journey(subject, row, view.state)
        subject = root.subject
    raise ConflictError(f"subject {subject} was merged during {ATTEMPTS} reads")


def _announced(row: JourneyRow | None, *, replayed: bool) -> Assessment | None:
    """Return the assessment to compare a new one with, or None if there is none.

    A replay compares with the current one. Other events compare with the one from before replays
    changed it. So they announce the changes of a replay, which starts no playbooks itself."""
    if row is None:
        return None
    return row.before if row.replayed and not replayed else row.current


def _same(previous: Assessment | None, current: Assessment) -> bool:
    return previous is not None and all(
        getattr(previous, name) == getattr(current, name) for name in _COMPARED
    )


def _earliest(stamps: Iterable[Stamps]) -> Stamps:
    """Return the stamps of the record that was received first.

    Any record of the batch may have changed the score, so latency is measured on the oldest."""
    return min(stamps, key=lambda stamp: (stamp.received is None, stamp.received or 0))
