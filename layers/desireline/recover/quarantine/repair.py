"""Repair cases of quarantine. A preview maps their events with the deployed and with the corrected
plan. A replay produces the repaired events with their first ids and times, and marks the cases.

A case of a later component needs no mapping. After a correction of the code, a replay produces its
record to its topic again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import ValidationError

from desireline.contracts import SCHEMA_VERSION, Component, Header, Topic
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
"""Cases between two flushes. A replay produces them, flushes, and then marks them."""
FLUSH_SECONDS = 30.0

_READERS: Final = {
    Topic.EVENTS_RECEIVED: CanonicalEvent,
    Topic.EVENTS_RESOLVED: ResolvedEvent,
    Topic.IDENTITY_CHANGED: IdentityChanged,
    Topic.JOURNEYS_SCORED: JourneyScored,
}


@dataclass(frozen=True, slots=True)
class RepairResult:
    """The result of mapping a case: records for a topic, or a reason with its detail."""

    records: tuple[Outgoing, ...] = ()
    reason: str = ""
    detail: str = ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records as JSON objects, to show them."""
        return [orjson.loads(record.value) for record in self.records]

    @property
    def event_id(self) -> str | None:
        """The event's id, for records of events.received; otherwise None."""
        return next((str(event["event_id"]) for event in self.events if "event_id" in event), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """The results of a case before and after the correction."""

    case: CaseRow
    before: RepairResult
    after: RepairResult


@dataclass(slots=True)
class ReplayCounts:
    """Counts the cases of a replay. replayed: by this replay. already: by an earlier one. failing:
    cases that still fail, by reason."""

    replayed: int = 0
    already: int = 0
    failing: dict[str, int] = field(default_factory=dict)


class Repair:
    """Previews and replays cases. deployed: the mapper of the deployed plan. corrected: the mapper
    of the corrected plan; both are equal after a deployment. wall: gives the times of replays."""

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
        """Map each case with both plans. It changes nothing. Raises UnavailableError."""
        raws = self._raws(cases)
        before = self._results(cases, raws, self._deployed)
        after = self._results(cases, raws, self._corrected)
        return [
            Difference(
                case, before[case.id] if _is_mapped(case) else _original(case), after[case.id]
            )
            for case in cases
        ]

    def replay(self, cases: Sequence[CaseRow], replay_id: str) -> Iterator[ReplayCounts]:
        """Replay the repaired cases in portions, and mark them. Yield the counts so far.

        An interrupted replay may run again, because equal ids count once. Raises RetryableError."""
        counts = ReplayCounts()
        for start in range(0, len(cases), AT_ONCE):
            self._replay(cases[start : start + AT_ONCE], replay_id, counts)
            yield counts

    def _replay(self, cases: Sequence[CaseRow], replay_id: str, counts: ReplayCounts) -> None:
        # Another process may have replayed some of them, so read the rows again.
        waiting = [case for case in self._cases.named(c.id for c in cases) if not case.replayed]
        counts.already += len(cases) - len(waiting)
        results = self._results(waiting, self._raws(waiting), self._corrected)
        done: list[tuple[CaseRow, str | None]] = []
        for case in waiting:
            result = results[case.id]
            if result.reason:
                counts.failing[result.reason] = counts.failing.get(result.reason, 0) + 1
                continue
            for record in result.records:
                marked = record._replace(headers={Header.REPLAY: replay_id.encode()})
                self._producer.produce(marked)
            done.append((case, result.event_id))
        if done:
            self._producer.flush(FLUSH_SECONDS)
            self._cases.mark(done, replay_id, self._wall.now())
            counts.replayed += len(done)

    def _raws(self, cases: Sequence[CaseRow]) -> dict[str, RawWebhook]:
        """Read the raw bodies of these cases, by their ids. Omit deleted bodies."""
        arrivals = {case.raw.id: case.arrived for case in cases if case.raw and _is_mapped(case)}
        return self._bodies.find(arrivals) if arrivals else {}

    def _results(
        self, cases: Sequence[CaseRow], raws: Mapping[str, RawWebhook], mapper: EventMapper
    ) -> dict[str, RepairResult]:
        """Return the result of each case, by its id. Map a body with several cases once."""
        by_body: dict[str, list[CaseRow]] = defaultdict(list)
        results: dict[str, RepairResult] = {}
        for case in cases:
            if _is_mapped(case):
                by_body[case.raw.id if case.raw else ""].append(case)
            else:
                results[case.id] = _resend(case)
        for raw_id, of_body in by_body.items():
            results.update(self._of_body(raws.get(raw_id), of_body, mapper))
        return results

    def _of_body(
        self, raw: RawWebhook | None, cases: Sequence[CaseRow], mapper: EventMapper
    ) -> Iterator[tuple[str, RepairResult]]:
        """Yield the results of the cases of one body. raw: None if the body is deleted."""
        if raw is None:
            detail = "neither the topic nor the archive holds the body"
            missing = RepairResult(reason="raw_gone", detail=detail)
            yield from ((case.id, missing) for case in cases)
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
        results = list(mapper(sender, reports, Arrival(raw.id, raw.received_at, arrived)))
        for case in cases:
            yield case.id, _repaired(results, case)


def _is_mapped(case: CaseRow) -> bool:
    return case.component == Component.RECEIVE


def _repaired(results: Sequence[MappingResult], case: CaseRow) -> RepairResult:
    """Return the result of a case from the results of its body.

    A case without an event's name is a body that the sender could not read. Its result has the
    events of the whole body."""
    if case.event_name:
        position = case.raw.index if case.raw else 0
        results = results[position : position + 1]
    failure = next((result for result in results if not isinstance(result, Mapped)), None)
    if failure is not None:
        detail = failure.error.detail if isinstance(failure, Rejected) else ""
        return RepairResult(reason=failure.reason, detail=detail)
    if not results:
        return RepairResult(
            reason="no_such_event", detail="the sender now reads fewer events in the body"
        )
    return RepairResult(
        tuple(
            Outgoing(Topic.EVENTS_RECEIVED, result.fragment, result.event)
            for result in results
            if isinstance(result, Mapped)
        )
    )


def _original(case: CaseRow) -> RepairResult:
    return RepairResult(reason=case.reason, detail=case.detail)


def _resend(case: CaseRow) -> RepairResult:
    """Return a later component's record for its topic, or a reason if this code cannot read it."""
    topic = case.source
    reader: Any = _READERS.get(Topic(topic)) if topic in set(Topic) else None
    if reader is None:
        return RepairResult(reason="no_such_topic", detail=topic)
    if case.record is None:
        detail = f"too large for its row, or not a text: read it in the archive of {topic}"
        return RepairResult(reason="record_gone", detail=detail)
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
