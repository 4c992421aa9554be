"""ReceiveTopic: records of the company's own topics -> raw body, events, quarantined events.

As a webhook, by the same mapping step; only that nobody waits for an answer. What cannot be mapped
is quarantined and counts as handled; what Kafka does not take raises, and the batch comes again.
Every id is a function of the record, so that a second time changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from desireline.contracts import Topic
from desireline.errors import InvalidEventError, RefusedError
from desireline.ports import Clock, Metrics, Producer
from desireline.receive.mapping.event_mapper import (
    Arrival,
    Mapped,
    MapWebhook,
    Outcome,
    Refusal,
    Withheld,
    raw_id,
)
from desireline.receive.raw_record import raw_record, without_withheld
from desireline.receive.receive_webhook import UNREADABLE
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._topic import PLACE, TopicSender
from desireline.receive.senders.sender import Reported
from desireline.records import Outgoing, Record

FLUSH_SECONDS = 10.0


@dataclass(slots=True)
class Taken:
    """What became of a batch: events by their fate, by reason or by source, and
    records without a value."""

    accepted: int = 0
    skipped: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)


class ReceiveTopic:
    """sources: by topic."""

    def __init__(
        self,
        *,
        sources: Mapping[str, TopicSender],
        mapping: MapWebhook,
        producer: Producer,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
    ) -> None:
        self._sources = sources
        self._map = mapping
        self._producer = producer
        self._clock = clock
        self._wall = wall
        self._metrics = metrics

    def __call__(self, records: Sequence[Record]) -> Taken:
        """Take a batch. Raises UnavailableError when Kafka did not take it all, or it cannot be
        known who is suppressed."""
        taken = Taken()
        for record in records:
            if record.value is None:
                taken.skipped += 1
            else:
                self._take(self._sources[record.topic], record, taken)
        self._producer.flush(FLUSH_SECONDS)
        self._metrics.count("topic_events_accepted", taken.accepted)
        self._metrics.count("topic_records_skipped", taken.skipped)
        for reason, count in taken.withheld.items():
            self._metrics.count("events_withheld", count, reason=reason)
        for sender, count in taken.ignored.items():
            self._metrics.count("events_ignored", count, sender=sender)
        for reason, count in taken.quarantined.items():
            self._metrics.count("events_quarantined", count, reason=reason)
        return taken

    def _take(self, source: TopicSender, record: Record, taken: Taken) -> None:
        request = source.request(record)
        place = request.headers[PLACE].encode()
        arrival = Arrival(
            raw_id(source.name, place + b"\n" + request.body), self._clock.now(), self._wall.now()
        )
        payload, reports, unreadable = _read(source, request)
        outcomes = [*self._map(source, reports, arrival), *unreadable]
        try:
            self._produce_raw(source, request, arrival, payload, outcomes)
        except RefusedError as error:
            outcomes = [_unreadable(error)]
        self._produce(source.name, outcomes, arrival, taken)

    def _produce_raw(
        self,
        source: TopicSender,
        request: WebhookRequest,
        arrival: Arrival,
        payload: Any,
        outcomes: Sequence[Outcome],
    ) -> None:
        """Where somebody's messages are taken out of it, headers and key go with them: they may be
        theirs. Raises RefusedError (413)."""
        withheld = {one.place for one in outcomes if isinstance(one, Withheld)}
        body, kept = request.body, {*request.headers}
        if withheld:
            body = without_withheld(source, request, payload, withheld, len(outcomes))
            kept = {PLACE}
            if not _maps_alike(source, body, request.headers[PLACE], outcomes):
                body = b""
        if body or not withheld:
            self._producer.produce(
                raw_record(request, arrival, body=body, kept=kept, withheld=len(withheld))
            )

    def _produce(
        self, source: str, outcomes: Sequence[Outcome], arrival: Arrival, taken: Taken
    ) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Mapped):
                taken.accepted += 1
                self._producer.produce(
                    Outgoing(Topic.EVENTS_RECEIVED, outcome.fragment, outcome.event)
                )
            elif isinstance(outcome, Refusal):
                taken.quarantined[outcome.reason] += 1
                message = self._map.quarantined(source, outcome, arrival)
                self._producer.produce(Outgoing(Topic.EVENTS_QUARANTINED, source, message.encode()))
            elif isinstance(outcome, Withheld):
                taken.withheld[outcome.reason] += 1
            else:
                taken.ignored[source] += 1


def _read(
    source: TopicSender, request: WebhookRequest
) -> tuple[Any, Sequence[Reported], Sequence[Refusal]]:
    """What a record says, the reports in it, or the record itself where nothing can be read."""
    try:
        payload = source.parse(request.body)
        return payload, [*source.messages(payload, request)], ()
    except RefusedError as error:
        return None, (), (_unreadable(error),)


def _unreadable(error: RefusedError) -> Refusal:
    return Refusal(0, UNREADABLE, InvalidEventError(error.reason, error.detail))


def _maps_alike(source: TopicSender, body: bytes, place: str, outcomes: Sequence[Outcome]) -> bool:
    """Whether the others in a record are the same events without its headers and key. What would
    be counted elsewhere when it is mapped again is better not kept."""
    if not body:
        return True
    request = WebhookRequest(source.name, {PLACE: place}, body)
    again = [*source.messages(source.parse(body), request)]
    mapped = [one for one in outcomes if isinstance(one, Mapped)]
    return all(_identity(again[one.place]) == _identity(one.reported) for one in mapped)


def _identity(one: Reported) -> tuple[object, ...]:
    """What decides as what and where an event is counted."""
    return one.id, one.call, one.event, one.occurred_at, [*one.aliases], [*one.accounts]
