"""ReceiveTopic: records of the company's own topics -> raw body, events, quarantined events.

As a webhook, by the same mapping step; only that nobody waits for an answer. What cannot be mapped
is quarantined and counts as handled; what Kafka does not take raises, and the batch comes again.
Every id is a function of the record, so that a second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.ports import Clock, Metrics, Producer
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Mapped,
    MappingResult,
    Rejected,
    Withheld,
    raw_id,
    unreadable,
)
from desireline.receive.raw_record import raw_record, without_withheld
from desireline.receive.record_results import Recorded, RecordResults
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._topic import PLACE, TopicSender
from desireline.receive.senders.sender import SenderReport
from desireline.records import Record

FLUSH_SECONDS = 10.0


class ReceiveTopic:
    """sources: by topic."""

    def __init__(
        self,
        *,
        sources: Mapping[str, TopicSender],
        mapper: EventMapper,
        producer: Producer,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
    ) -> None:
        self._sources = sources
        self._map = mapper
        self._record = RecordResults(mapper, producer, metrics)
        self._producer = producer
        self._clock = clock
        self._wall = wall
        self._metrics = metrics

    def __call__(self, records: Sequence[Record]) -> Recorded:
        """Take a batch. Raises UnavailableError if Kafka does not take all of it, or if the
        suppressions cannot be read."""
        recorded = Recorded()
        with_value = [record for record in records if record.value is not None]
        for record in with_value:
            self._take(self._sources[record.topic], record, recorded)
        self._producer.flush(FLUSH_SECONDS)
        self._metrics.count("topic_events_accepted", recorded.accepted)
        self._metrics.count("topic_records_skipped", len(records) - len(with_value))
        self._record.count(recorded)
        return recorded

    def _take(self, source: TopicSender, record: Record, recorded: Recorded) -> None:
        request = source.request(record)
        place = request.headers[PLACE].encode()
        arrival = Arrival(
            raw_id(source.name, place + b"\n" + request.body), self._clock.now(), self._wall.now()
        )
        payload, reports, rejected = _read(source, request)
        results = [*self._map(source, reports, arrival), *rejected]
        try:
            self._produce_raw(source, request, arrival, payload, results)
        except RefusedError as error:
            results = [unreadable(error)]
        self._record.produce(source.name, results, arrival, recorded)

    def _produce_raw(
        self,
        source: TopicSender,
        request: WebhookRequest,
        arrival: Arrival,
        payload: Any,
        results: Sequence[MappingResult],
    ) -> None:
        """Where somebody's messages are taken out of it, headers and key go with them: they may be
        theirs. Raises RefusedError (413)."""
        withheld = {one.position for one in results if isinstance(one, Withheld)}
        body, kept = request.body, {*request.headers}
        if withheld:
            body = without_withheld(source, request, payload, withheld, len(results))
            kept = {PLACE}
            if not _maps_alike(source, body, request.headers[PLACE], results):
                body = b""
        if body or not withheld:
            self._producer.produce(
                raw_record(request, arrival, body=body, kept=kept, withheld=len(withheld))
            )


def _read(
    source: TopicSender, request: WebhookRequest
) -> tuple[Any, Sequence[SenderReport], Sequence[Rejected]]:
    """What a record says, the reports in it, or the record itself where nothing can be read."""
    try:
        payload = source.parse(request.body)
        return payload, [*source.messages(payload, request)], ()
    except RefusedError as error:
        return None, (), (unreadable(error),)


def _maps_alike(
    source: TopicSender, body: bytes, place: str, results: Sequence[MappingResult]
) -> bool:
    """Whether the others in a record are the same events without its headers and key. What would
    be counted elsewhere when it is mapped again is better not kept."""
    if not body:
        return True
    request = WebhookRequest(source.name, {PLACE: place}, body)
    again = [*source.messages(source.parse(body), request)]
    mapped = [one for one in results if isinstance(one, Mapped)]
    return all(_identity(again[one.position]) == _identity(one.report) for one in mapped)


def _identity(one: SenderReport) -> tuple[object, ...]:
    """What decides as what and where an event is counted."""
    return one.id, one.call, one.event, one.occurred_at, [*one.aliases], [*one.accounts]
