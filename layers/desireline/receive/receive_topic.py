"""ReceiveTopic: records of the company's own topics -> raw body, events, quarantined events.

The mapping is the same as for webhooks, but no sender waits for an answer. Receive quarantines a
report that breaks the plan, and the record is done. If Kafka is unavailable, the use case raises,
and Lambda delivers the batch again. All ids are functions of the record, so a repeated batch
produces the same events.
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
from desireline.receive.senders._topic import LOCATION, TopicSender
from desireline.receive.senders.sender import SenderReport
from desireline.records import Record

FLUSH_SECONDS = 10.0


class ReceiveTopic:
    """Receives batches of records. sources: the sender of each topic."""

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
        """Map a batch and produce its results. Skip records without a value.

        Raises UnavailableError if Kafka does not accept all results, or if the suppressions cannot
        be read."""
        recorded = Recorded()
        with_value = [record for record in records if record.value is not None]
        for record in with_value:
            self._receive(self._sources[record.topic], record, recorded)
        self._producer.flush(FLUSH_SECONDS)
        self._metrics.count("topic_events_accepted", recorded.accepted)
        self._metrics.count("topic_records_skipped", len(records) - len(with_value))
        self._record.count(recorded)
        return recorded

    def _receive(self, source: TopicSender, record: Record, recorded: Recorded) -> None:
        request = source.request(record)
        location = request.headers[LOCATION].encode()
        body_id = raw_id(source.name, location + b"\n" + request.body)
        arrival = Arrival(body_id, self._clock.now(), self._wall.now())
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
        """Produce the raw body without its withheld messages. If there are any, remove key and
        headers too, because they may belong to the withheld persons. Raises RefusedError (413)."""
        withheld = {result.position for result in results if isinstance(result, Withheld)}
        body, headers = request.body, {*request.headers}
        if withheld:
            body = without_withheld(source, request, payload, withheld, len(results))
            headers = {LOCATION}
            if not _maps_alike(source, body, request.headers[LOCATION], results):
                body = b""
        if body or not withheld:
            count = len(withheld)
            self._producer.produce(
                raw_record(request, arrival, body=body, kept_headers=headers, withheld=count)
            )


def _read(
    source: TopicSender, request: WebhookRequest
) -> tuple[Any, Sequence[SenderReport], Sequence[Rejected]]:
    """Parse a record. Return its payload and reports, or a rejection of the whole record."""
    try:
        payload = source.parse(request.body)
        return payload, [*source.messages(payload, request)], ()
    except RefusedError as error:
        return None, (), (unreadable(error),)


def _maps_alike(
    source: TopicSender, body: bytes, location: str, results: Sequence[MappingResult]
) -> bool:
    """Tell whether a shortened body gives the same events without the record's headers and key.

    A body that gives other events must not be stored: a replay would count them a second time."""
    if not body:
        return True
    request = WebhookRequest(source.name, {LOCATION: location}, body)
    reports = [*source.messages(source.parse(body), request)]
    return all(
        _identity(reports[result.position]) == _identity(result.report)
        for result in results
        if isinstance(result, Mapped)
    )


def _identity(report: SenderReport) -> tuple[object, ...]:
    """Return the parts of a report that decide its event's id, name, time, person and account."""
    fixed = report.id, report.call, report.event, report.occurred_at
    return *fixed, [*report.aliases], [*report.accounts]
