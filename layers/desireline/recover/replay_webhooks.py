"""Replay: raw webhooks mapped again, and their events produced again, marked.

Under the event ids of their first arrival, with its times: what was counted is not counted again,
and what was lost is counted where it belongs. The mark travels with everything that follows from
it, so that nothing is sent (invariant 8).
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
"""Events after which what was produced is made durable, and progress can be kept."""
STRIDE = 2_000
"""Bodies after which progress is told, also where nothing was to be produced."""
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: all, where a set is None. events: names in the tracking plan. fragments: of
    the persons concerned; an event belongs that names one of them, as any of its aliases."""

    sources: frozenset[str] | None = None
    events: frozenset[str] | None = None
    fragments: frozenset[str] | None = None

    def holds(self, event: Mapping[str, object], fragments: frozenset[str]) -> bool:
        """Whether an event is selected; fragments: of its aliases."""
        if self.events is not None and event["name"] not in self.events:
            return False
        return self.fragments is None or not self.fragments.isdisjoint(fragments)


@dataclass(slots=True)
class Counts:
    """What came of it, by (source, event). refused: by (source, reason). bodies: read so far;
    unreadable: of these, bodies that no sender can read any more."""

    bodies: int = 0
    unreadable: int = 0
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Progress:
    """left: of the span; everything before it is durable. counts: of all so far."""

    left: Span
    counts: Counts


class ReplayWebhooks:
    """senders: all whose webhooks may be met. batch: how many events are made durable at once."""

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
    ) -> Iterator[Progress]:
        """Work through the span; each progress is a place to go on from. Without `go` only count.

        May be given up at any time and begun again at the last progress, or from the start: what
        is produced twice counts once. Raises UnavailableError."""
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

    def _durable(self, left: Span, counts: Counts, *, go: bool) -> Progress:
        if go:
            self._producer.flush(FLUSH_SECONDS)
        return Progress(left, counts)

    def _records(self, raw: RawWebhook, selection: Selection, counts: Counts) -> Iterator[Outgoing]:
        """The selected events of a body, counted."""
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
