"""ReplayWebhooks: map raw webhooks again, and produce their events again with a mark.

The events have the ids and times of their first arrival. So counted events do not count again, and
lost events count at their own time. All later messages carry the mark too, so that no playbook
sends a message because of a replay (delivery rule 8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from desireline.contracts import Header, Topic
from desireline.errors import RefusedError
from desireline.events import RawWebhook
from desireline.ports import Producer, RawBodies, Span
from desireline.receive.mapping.event_mapper import Arrival, EventMapper, Mapped, reports_of
from desireline.receive.senders.sender import Sender
from desireline.records import Outgoing

BATCH = 500
"""Events between two flushes. After a flush, the caller can store the progress."""
STRIDE = 2_000
"""Bodies after which the replay reports progress, even without any events."""
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects events. None accepts all values of a field. events: names in the tracking plan.
    fragments: of persons; an event matches if any of its aliases has one of these fragments."""

    sources: frozenset[str] | None = None
    events: frozenset[str] | None = None
    fragments: frozenset[str] | None = None

    def holds(self, event: Mapping[str, object], fragments: frozenset[str]) -> bool:
        """Tell whether an event is selected. fragments: of the event's aliases."""
        if self.events is not None and event["name"] not in self.events:
            return False
        return self.fragments is None or not self.fragments.isdisjoint(fragments)


@dataclass(slots=True)
class Counts:
    """The counts of a replay. bodies: read so far. unreadable: bodies that no sender can read.
    events: by (source, event). refused: by (source, reason)."""

    bodies: int = 0
    unreadable: int = 0
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """The progress of a replay. left: the rest of the span; all events before it are durable.
    counts: the total so far."""

    left: Span
    counts: Counts


class ReplayWebhooks:
    """Replays raw webhooks. senders: the senders of all bodies. batch: events between flushes."""

    def __init__(
        self,
        *,
        bodies: RawBodies,
        senders: Mapping[str, Sender],
        mapper: EventMapper,
        producer: Producer,
        batch: int = BATCH,
    ) -> None:
        self._bodies = bodies
        self._senders = senders
        self._map = mapper
        self._producer = producer
        self._batch = batch

    def __call__(
        self, span: Span, selection: Selection, *, replay_id: str, go: bool, counts: Counts
    ) -> Iterator[ReplayProgress]:
        """Replay the span, and yield the progress after each flush. go: False only counts events.

        An interrupted replay may continue from the last progress, or start again, because an event
        that is produced twice counts once. Raises UnavailableError."""
        pending, since = 0, 0
        left = span
        for raw, left in self._bodies.read(span):
            since += 1
            if raw is not None:
                for record in self._records(raw, selection, counts):
                    pending += 1
                    if go:
                        self._producer.produce(_marked(record, replay_id))
            if pending >= self._batch or since >= STRIDE:
                yield self._durable(left, counts, go=go and pending > 0)
                pending, since = 0, 0
        yield self._durable(Span(left.since, left.until, ()), counts, go=go and pending > 0)

    def _durable(self, left: Span, counts: Counts, *, go: bool) -> ReplayProgress:
        if go:
            self._producer.flush(FLUSH_SECONDS)
        return ReplayProgress(left, counts)

    def _records(self, raw: RawWebhook, selection: Selection, counts: Counts) -> Iterator[Outgoing]:
        """Yield the records of a body's selected events, and add them to the counts."""
        if selection.sources is not None and raw.source not in selection.sources:
            return
        counts.bodies += 1
        sender = self._senders.get(raw.source)
        try:
            if sender is None:
                raise RefusedError(404, "unknown_sender")
            reports = reports_of(sender, raw)
        except RefusedError:
            counts.unreadable += 1
            return
        arrival = Arrival(raw.id, raw.received_at, raw.stamped or raw.received_at)
        for result in self._map(sender, reports, arrival):
            if not isinstance(result, Mapped):
                counts.refused[raw.source, result.reason] += 1
                continue
            event = orjson.loads(result.event)
            aliases = frozenset(str(alias["fragment"]) for alias in event["aliases"])
            if selection.holds(event, aliases):
                counts.events[raw.source, str(event["name"])] += 1
                yield Outgoing(Topic.EVENTS_RECEIVED, result.fragment, result.event)


def _marked(record: Outgoing, replay_id: str) -> Outgoing:
    return record._replace(headers={Header.REPLAY: replay_id.encode()})
