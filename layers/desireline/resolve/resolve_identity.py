"""ResolveIdentity: make one person out of fragments, and count every event once.

Link, count, pass on, flush, then acknowledge. Every step may be repeated: linking finds its own
work, counting remembers ids, and what is passed on again is marked so (delivery rules 2 to 5).
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
"""The year 10000: days of the epoch are stored in 32 bits."""
NOTHING_NEW = Folded(frozenset(), frozenset(), frozenset())
_TRAVELS = (Header.TRACE, Header.REPLAY, Header.REDRIVE_ID)


@dataclass(frozen=True, slots=True)
class _Resolved:
    record: Record
    event: CanonicalEvent
    linked: Linked


_Groups = dict[tuple[str, str], list[_Resolved]]
"""By fragment and account: what one row counts."""


class ResolveIdentity:
    """Takes records of events.received; gives events.resolved and events.quarantined."""

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
        """Resolve a batch. Records fail one by one: what they write commutes."""
        tally = Tally()
        groups: _Groups = defaultdict(list)
        decoded = [(record, self._decoded(record, tally)) for record in records]
        events = [(record, event) for record, event in decoded if event is not None]
        self._link.look_ahead([event for _, event in events])
        for record, event in events:
            try:
                linked = self._link(event, replayed=Header.REPLAY in record.headers)
            except RetryableError as error:
                tally.fail([record], type(error).__name__)
            except TerminalError as error:
                self._quarantine(record, error.reason, error.detail, tally)
            else:
                groups[event.fragment, event.account_key].append(_Resolved(record, event, linked))
        self._fold.look_ahead(groups)
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
            self._quarantine(record, "invalid_event", _places(error), tally)
            return None
        if event.schema_version > SCHEMA_VERSION:
            self._quarantine(record, "unknown_schema", f"version {event.schema_version}", tally)
            return None
        broken = _unusable(event)
        if broken:
            self._quarantine(record, "invalid_event", broken, tally)
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
        """Count all groups at once, then pass on what is counted."""
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
        for one in group:
            name = one.event.event_id
            if name not in folded.refused:
                self._pass_on(one, NOTHING_NEW if name in passed_on else folded)
                passed_on.add(name)
            tally.done.append(one.record)

    def _pass_on(self, one: _Resolved, folded: Folded) -> None:
        stamps: Stamps = one.event.stamps.model_copy(update={"resolved": self._wall.now()})
        resolved = ResolvedEvent(
            event=one.event.model_copy(update={"stamps": stamps}),
            person=one.linked.person,
            subject=one.linked.subject,
            repeated=one.event.event_id not in folded.counted,
        )
        headers: dict[str, bytes] = {
            name: value for name, value in one.record.headers.items() if name in _TRAVELS
        }
        self._producer.produce(
            Outgoing(Topic.EVENTS_RESOLVED, resolved.subject, resolved.encode(), headers)
        )

    def _flush(self, tally: Tally) -> None:
        """Nothing is acknowledged before Kafka has it: without the flush all records fail."""
        try:
            self._producer.flush(FLUSH_SECONDS)
        except RetryableError as error:
            handled = [*tally.done, *(record for record, _ in tally.quarantined)]
            tally.done.clear()
            tally.quarantined.clear()
            tally.fail(handled, type(error).__name__)


def _unusable(event: CanonicalEvent) -> str:
    """What the schema allows and nothing here can work with, or the empty string."""
    if not event.aliases:
        return "aliases: empty"
    if not 0 <= event.occurred_at < END_OF_TIME:
        return "occurred_at: out of range"
    return ""


def _places(error: ValidationError) -> str:
    """Where a message breaks its schema, without the values, which may be personal."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc']))}: {detail['type']}" for detail in error.errors()[:5]
    )
