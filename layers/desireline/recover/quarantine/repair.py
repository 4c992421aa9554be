"""Repair: what a corrected mapping makes of the very events in quarantine, before and after; and
replay: exactly these events, under their first ids and times, marked.

A case of a later stage has nothing to be mapped: its record goes to its topic again, once the code
that could not take it has been corrected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import ValidationError

from desireline.contracts import SCHEMA_VERSION, Header, Topic
from desireline.errors import RefusedError
from desireline.events import (
    CanonicalEvent,
    IdentityChanged,
    JourneyScored,
    RawWebhook,
    ResolvedEvent,
)
from desireline.ports import Clock, KeptBodies, Producer
from desireline.receive.mapping.event_mapper import (
    STAGE,
    Arrival,
    EventMapper,
    Mapped,
    MappingResult,
    Rejected,
    reports_of,
)
from desireline.receive.senders.sender import Sender
from desireline.records import Outgoing
from desireline.recover.quarantine.cases import Cases
from desireline.rows import CaseRow

AT_ONCE = 100
"""Cases that are produced, made durable and marked together."""
FLUSH_SECONDS = 30.0

_READERS: Final = {
    Topic.EVENTS_RECEIVED: CanonicalEvent,
    Topic.EVENTS_RESOLVED: ResolvedEvent,
    Topic.IDENTITY_CHANGED: IdentityChanged,
    Topic.JOURNEYS_SCORED: JourneyScored,
}


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What becomes of a case: records for a topic, or why not."""

    records: tuple[Outgoing, ...] = ()
    reason: str = ""
    detail: str = ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records as objects, for a person to look at."""
        return [orjson.loads(record.value) for record in self.records]

    @property
    def event_id(self) -> str | None:
        """The id of the event, where it is one of events.received."""
        return next((str(event["event_id"]) for event in self.events if "event_id" in event), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """A case before and after the correction."""

    case: CaseRow
    before: RepairResult
    after: RepairResult


@dataclass(slots=True)
class Replayed:
    """What a replay has come to: cases that were replayed, that still fail, by reason, and that
    had been replayed before."""

    replayed: int = 0
    already: int = 0
    failing: dict[str, int] = field(default_factory=dict)


class Repair:
    """deployed: the mapping as it runs. corrected: the one to try; the deployed one, after a fix.
    wall: for when a case was replayed."""

    def __init__(
        self,
        *,
        cases: Cases,
        bodies: KeptBodies,
        senders: Mapping[str, Sender],
        deployed: EventMapper,
        corrected: EventMapper,
        producer: Producer,
        wall: Clock,
    ) -> None:
        self._cases = cases
        self._bodies = bodies
        self._senders = senders
        self._deployed = deployed
        self._corrected = corrected
        self._producer = producer
        self._wall = wall

    def preview(self, cases: Sequence[CaseRow]) -> list[Difference]:
        """Each case, before and after. Nothing is changed. Raises UnavailableError."""
        raws = self._raws(cases)
        before, after = (self._all(cases, raws, one) for one in (self._deployed, self._corrected))
        return [
            Difference(case, before[case.id] if _is_mapped(case) else _as_it_was(case), outcome)
            for case in cases
            for outcome in [after[case.id]]
        ]

    def replay(self, cases: Sequence[CaseRow], replay_id: str) -> Iterator[Replayed]:
        """Replay those that the correction repairs, some at a time, and mark them; what it has come
        to so far. One that was interrupted may be given again: ids make a repetition harmless.

        Raises RetryableError."""
        so_far = Replayed()
        for start in range(0, len(cases), AT_ONCE):
            self._replay(cases[start : start + AT_ONCE], replay_id, so_far)
            yield so_far

    def _replay(self, cases: Sequence[CaseRow], replay_id: str, so_far: Replayed) -> None:
        # Read again: somebody else may have been faster.
        waiting = [case for case in self._cases.named(c.id for c in cases) if not case.replayed]
        so_far.already += len(cases) - len(waiting)
        outcomes = self._all(waiting, self._raws(waiting), self._corrected)
        done: list[tuple[CaseRow, str | None]] = []
        for case in waiting:
            outcome = outcomes[case.id]
            if outcome.reason:
                so_far.failing[outcome.reason] = so_far.failing.get(outcome.reason, 0) + 1
                continue
            for record in outcome.records:
                marked = record._replace(headers={Header.REPLAY: replay_id.encode()})
                self._producer.produce(marked)
            done.append((case, outcome.event_id))
        if done:
            self._producer.flush(FLUSH_SECONDS)
            self._cases.mark(done, replay_id, self._wall.now())
            so_far.replayed += len(done)

    def _raws(self, cases: Sequence[CaseRow]) -> dict[str, RawWebhook]:
        wanted = {case.raw.id: case.arrived for case in cases if case.raw and _is_mapped(case)}
        return self._bodies.find(wanted) if wanted else {}

    def _all(
        self, cases: Sequence[CaseRow], raws: Mapping[str, RawWebhook], step: EventMapper
    ) -> dict[str, RepairResult]:
        """The outcome of each; a body with several cases is mapped once."""
        by_body: dict[str, list[CaseRow]] = defaultdict(list)
        found: dict[str, RepairResult] = {}
        for case in cases:
            if _is_mapped(case):
                by_body[case.raw.id if case.raw else ""].append(case)
            else:
                found[case.id] = _again(case)
        for raw_id, of_body in by_body.items():
            found.update(self._of_body(raws.get(raw_id), of_body, step))
        return found

    def _of_body(
        self, raw: RawWebhook | None, cases: Sequence[CaseRow], step: EventMapper
    ) -> Iterator[tuple[str, RepairResult]]:
        if raw is None:
            gone = RepairResult(reason="raw_gone", detail="neither in its topic nor in the archive")
            yield from ((case.id, gone) for case in cases)
            return
        try:
            sender = self._senders.get(raw.source)
            if sender is None:
                raise RefusedError(404, "unknown_sender", raw.source)
            reports = reports_of(sender, raw)
        except RefusedError as error:
            refused = RepairResult(reason=error.reason, detail=error.detail)
            yield from ((case.id, refused) for case in cases)
            return
        arrived = raw.stamped if raw.stamped is not None else raw.received_at
        results = list(step(sender, reports, Arrival(raw.id, raw.received_at, arrived)))
        for case in cases:
            yield case.id, _repaired(results, case)


def _is_mapped(case: CaseRow) -> bool:
    return case.stage == STAGE


def _repaired(results: Sequence[MappingResult], case: CaseRow) -> RepairResult:
    """Of the event at the case's place; of all events where the body could not be read at all."""
    if case.event_name:
        position = case.raw.index if case.raw else 0
        results = results[position : position + 1]
    stays = next((one for one in results if not isinstance(one, Mapped)), None)
    if stays is not None:
        detail = stays.error.detail if isinstance(stays, Rejected) else ""
        return RepairResult(reason=stays.reason, detail=detail)
    if not results:
        return RepairResult(reason="no_such_event", detail="the body is read in another way now")
    return RepairResult(
        tuple(
            Outgoing(Topic.EVENTS_RECEIVED, one.fragment, one.event)
            for one in results
            if isinstance(one, Mapped)
        )
    )


def _as_it_was(case: CaseRow) -> RepairResult:
    return RepairResult(reason=case.reason, detail=case.detail)


def _again(case: CaseRow) -> RepairResult:
    """A later stage's record, as it goes to its topic again, if this code can read it."""
    topic = case.source
    reader: Any = _READERS.get(Topic(topic)) if topic in set(Topic) else None
    if reader is None:
        return RepairResult(reason="no_such_topic", detail=topic)
    if case.record is None:
        where = f"too large for its row, or no text: it lies in the archive of {topic}"
        return RepairResult(reason="record_gone", detail=where)
    try:
        message = reader.decode(case.record.encode())
    except ValidationError as error:
        return RepairResult(reason="unreadable_record", detail=f"{error.error_count()} errors")
    if getattr(message, "schema_version", 0) > SCHEMA_VERSION:
        return RepairResult(reason="unknown_schema", detail=f"version {message.schema_version}")
    if isinstance(message, CanonicalEvent) and not message.aliases:
        return RepairResult(reason="invalid_event", detail="aliases: empty")
    own = message.fragment if isinstance(message, CanonicalEvent) else message.subject
    return RepairResult((Outgoing(topic, case.key or own, case.record.encode()),))
