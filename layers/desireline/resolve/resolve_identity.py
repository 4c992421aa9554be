"""ResolveIdentity: link the aliases of events to persons, and count every event once.

The steps are: link, count, pass on, flush, acknowledge. Every step can be repeated. Linking finds
its earlier writes, counting stores ids, and a repeated event is passed on with `repeated` (delivery
rules 2 to 5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from desireline.contracts import SCHEMA_VERSION, Component, Header, Topic
from desireline.errors import RetryableError, TerminalError
from desireline.events import CanonicalEvent, Quarantined, ResolvedEvent, Stamps
from desireline.ports import BatchStore, Clock, Metrics, Producer
from desireline.records import BatchResult, Outgoing, Record, Tally
from desireline.resolve.fold import Fold, Folded
from desireline.resolve.link import Link, Linked

FLUSH_SECONDS = 10.0
END_OF_TIME = 253_402_300_800_000
"""The year 10000. Later times are invalid, because state rows store days in 32 bits."""
NOTHING_NEW = Folded(frozenset(), frozenset(), frozenset())
_PASSED_HEADERS = (Header.TRACE, Header.REPLAY, Header.REDRIVE_ID)


@dataclass(frozen=True, slots=True)
class _Resolved:
    record: Record
    event: CanonicalEvent
    linked: Linked


_Groups = dict[tuple[str, str], list[_Resolved]]
"""The events of each state row, by (fragment, account)."""


class ResolveIdentity:
    """Reads events.received, and produces to events.resolved and events.quarantined."""

    def __init__(
        self,
        *,
        store: BatchStore,
        producer: Producer,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        link: Link | None = None,
        fold: Fold | None = None,
    ) -> None:
        self._producer = producer
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._link = link or Link(store, metrics)
        self._fold = fold or Fold(store)

    def __call__(self, records: Sequence[Record]) -> BatchResult:
        """Resolve a batch. Each record fails alone, because the writes of records commute."""
        tally = Tally()
        groups: _Groups = defaultdict(list)
        decoded = [(record, self._decoded(record, tally)) for record in records]
        events = [(record, event) for record, event in decoded if event is not None]
        self._link.prefetch([event for _, event in events])
        for record, event in events:
            try:
                linked = self._link(event, replayed=Header.REPLAY in record.headers)
            except RetryableError as error:
                tally.fail([record], type(error).__name__)
            except TerminalError as error:
                self._quarantine(record, error.reason, error.detail, tally)
            else:
                groups[event.fragment, event.account_key].append(_Resolved(record, event, linked))
        self._fold.prefetch(groups)
        self._count(groups, tally)
        self._flush(tally)
        return tally.result()

    def _decoded(self, record: Record, tally: Tally) -> CanonicalEvent | None:
        if record.value is None:
            tally.skipped.append(record)
            return None
        try:
            event = CanonicalEvent.decode(record.value)
        except ValidationError as error:
            self._quarantine(record, "invalid_event", _locations(error), tally)
            return None
        if event.schema_version > SCHEMA_VERSION:
            self._quarantine(record, "unknown_schema", f"version {event.schema_version}", tally)
            return None
        problem = _problem(event)
        if problem:
            self._quarantine(record, "invalid_event", problem, tally)
            return None
        return event

    def _quarantine(self, record: Record, reason: str, detail: str, tally: Tally) -> None:
        message = Quarantined(
            id=f"{record.topic}-{record.partition}-{record.offset}",
            source=record.topic,
            component=Component.RESOLVE,
            reason=reason,
            detail=detail,
            record=(record.value or b"").decode("utf-8", "replace"),
            key=(record.key or b"").decode("utf-8", "replace"),
            at=self._clock.now(),
        )
        self._producer.produce(Outgoing(Topic.EVENTS_QUARANTINED, message.source, message.encode()))
        tally.quarantined.append((record, reason))
        self._metrics.count("records_quarantined")

    def _count(self, groups: _Groups, tally: Tally) -> None:
        """Count all groups, then pass on the events of those that were written."""
        outcomes = self._fold.count_all(
            {name: [item.event for item in group] for name, group in groups.items()}
        )
        for name, group in groups.items():
            outcome = outcomes[name]
            if isinstance(outcome, RetryableError):
                tally.fail([item.record for item in group], type(outcome).__name__)
            elif isinstance(outcome, TerminalError):
                for item in group:
                    self._quarantine(item.record, outcome.reason, outcome.detail, tally)
            else:
                self._pass_all_on(group, outcome, tally)

    def _pass_all_on(self, group: Sequence[_Resolved], folded: Folded, tally: Tally) -> None:
        if folded.refused:
            self._metrics.count("machine_events", len(folded.refused))
        self._metrics.count("events_counted", len(folded.counted))
        self._metrics.count("events_repeated", len(folded.repeated))
        passed_on: set[str] = set()
        for item in group:
            event_id = item.event.event_id
            if event_id not in folded.refused:
                self._pass_on(item, NOTHING_NEW if event_id in passed_on else folded)
                passed_on.add(event_id)
            tally.done.append(item.record)

    def _pass_on(self, item: _Resolved, folded: Folded) -> None:
        stamps: Stamps = item.event.stamps.model_copy(update={"resolved": self._wall.now()})
        resolved = ResolvedEvent(
            event=item.event.model_copy(update={"stamps": stamps}),
            person=item.linked.person,
            subject=item.linked.subject,
            repeated=item.event.event_id not in folded.counted,
        )
        headers: dict[str, bytes] = {
            name: value for name, value in item.record.headers.items() if name in _PASSED_HEADERS
        }
        self._producer.produce(
            Outgoing(Topic.EVENTS_RESOLVED, resolved.subject, resolved.encode(), headers)
        )

    def _flush(self, tally: Tally) -> None:
        """Flush. If it fails, fail all records, because none may be acknowledged before it."""
        try:
            self._producer.flush(FLUSH_SECONDS)
        except RetryableError as error:
            handled = [*tally.done, *(record for record, _ in tally.quarantined)]
            tally.done.clear()
            tally.quarantined.clear()
            tally.fail(handled, type(error).__name__)


def _problem(event: CanonicalEvent) -> str:
    """Return why an event that fits the schema cannot be resolved, or the empty string."""
    if not event.aliases:
        return "aliases: empty"
    if not 0 <= event.occurred_at < END_OF_TIME:
        return "occurred_at: out of range"
    return ""


def _locations(error: ValidationError) -> str:
    """List where a message breaks its schema, without the values, which may be personal data."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc']))}: {detail['type']}" for detail in error.errors()[:5]
    )
