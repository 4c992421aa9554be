"""ReceiveWebhook: verify a webhook, map its reports, store the results in Kafka, and answer.

A 2xx means that raw body, events and quarantined events are in Kafka, acknowledged by all in-sync
replicas. A sender's mistake gets a 4xx with a reason. A 503 means that a service such as Kafka is
unavailable, and the sender retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from desireline.errors import RefusedError, RetryableError, UnavailableError
from desireline.events import Alias
from desireline.ports import Clock, Metrics, Producer, Secrets
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Rejected,
    raw_id,
    unreadable,
)
from desireline.receive.raw_record import raw_record, without_withheld
from desireline.receive.record_results import Recorded, RecordResults
from desireline.receive.request import Answer, WebhookRequest, content
from desireline.receive.senders.sender import Sender, SenderReport
from desireline.receive.suppress import Objections
from desireline.records import Outgoing
from desireline.throttle import Throttle

FLUSH_SECONDS = 2.5
RETRY_AFTER = 5
ENCODING = "content-encoding"
USER_AGENT = "user-agent"
KEPT_HEADERS = ("content-type", ENCODING, USER_AGENT)
ANSWER_SHARE = 0.6
"""The share of the sender's deadline after which the answer is 503 if Kafka has not acknowledged.
The rest of the time suffices to send the answer."""

SHORTEST_FLUSH = 0.2
BUSY = 429
UNKNOWN_SENDER = "unknown_sender"


class ReceiveWebhook:
    """Receives webhooks. senders: by the name in the path."""

    def __init__(
        self,
        *,
        senders: Mapping[str, Sender],
        secrets: Secrets,
        mapper: EventMapper,
        producer: Producer,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        throttle: Throttle | None = None,
        objections: Objections | None = None,
    ) -> None:
        self._senders = senders
        self._objections = objections
        self._throttle = throttle
        self._secrets = secrets
        self._map = mapper
        self._record = RecordResults(mapper, producer, metrics)
        self._producer = producer
        self._clock = clock
        self._wall = wall
        self._metrics = metrics

    def __call__(self, request: WebhookRequest) -> Answer:
        """Receive a webhook and return its answer. No request of a sender makes it raise."""
        sender = self._senders.get(request.source)
        if sender is None:
            self._metrics.count("webhooks_refused", reason=UNKNOWN_SENDER)
            return Answer(
                404, UNKNOWN_SENDER, "send to /webhooks/<sender>; docs/senders.md lists the senders"
            )
        if request.method == "HEAD":
            # Some senders check the address with an unsigned HEAD before they save it.
            return Answer(200)
        try:
            answer = self._receive(sender, request)
        except RefusedError as error:
            self._metrics.count("webhooks_refused", reason=error.reason)
            status = sender.busy if error.status == BUSY else error.status
            refused = Answer(status, error.reason, error.detail, retry_after=error.retry_after)
            return sender.adapt_answer(refused, request)
        except RetryableError as error:
            self._metrics.count("webhooks_unavailable")
            unavailable = Answer(503, "unavailable", type(error).__name__, retry_after=RETRY_AFTER)
            return sender.adapt_answer(unavailable, request)
        self._metrics.count("webhooks_accepted")
        return answer

    def _receive(self, sender: Sender, request: WebhookRequest) -> Answer:
        began = self._wall.now()
        body = content(request)
        key = self._verify(sender, request, body)
        payload, reports, rejected = _read(sender, request, body)
        if self._throttle:
            self._throttle.take(sender.name, key, len(reports))
        arrival = Arrival(raw_id(sender.name, body), self._clock.now(), self._wall.now())
        # A body that is too large to store is refused, so make its record before producing events.
        whole = _raw(sender, request, arrival, sender.stored_body(request, body), body)
        results = chain(self._map(sender, reports, arrival), rejected)
        recorded = Recorded()
        self._record.produce(sender.name, results, arrival, recorded)
        raw: Outgoing | None = whole
        if recorded.withheld_positions:
            raw = _raw_without(sender, request, arrival, payload, recorded)
        if raw is not None:
            self._producer.produce(raw)
        patience = min(sender.deadline, request.deadline) * ANSWER_SHARE
        self._object(sender, recorded.objecting, until=began + patience * 1000)
        spent = (self._wall.now() - began) / 1000
        self._producer.flush(max(SHORTEST_FLUSH, min(FLUSH_SECONDS, patience - spent)))
        self._record.count(recorded)
        return Answer(
            200,
            accepted=recorded.accepted,
            quarantined=recorded.quarantined.total(),
            withheld=recorded.withheld.total(),
            ignored=recorded.ignored.total(),
            reply=sender.reply(payload),
        )

    def _object(self, sender: Sender, objecting: Sequence[Alias], *, until: float) -> None:
        """Suppress the persons of these aliases. until: wall time, epoch ms.

        Raises RetryableError if the time ends first. The sender retries, and the suppressions that
        are written stay."""
        if self._objections is None:
            return
        for alias in objecting:
            if self._wall.now() >= until:
                raise UnavailableError("suppressions are incomplete: send the webhook again")
            self._objections(alias, sender.name)

    def _verify(self, sender: Sender, request: WebhookRequest, body: bytes) -> str | None:
        """Verify the signature with the cached secrets. If it fails, read the secrets again and
        retry once, because a secret may have rotated. Returns the name of the write key, if any."""
        now = self._wall.now()
        try:
            return sender.verify(request, body, self._secrets.current(sender.name), now)
        except RefusedError as error:
            if error.status != 401 or not self._secrets.refresh(sender.name):
                raise
            return sender.verify(request, body, self._secrets.current(sender.name), now)


def _raw(
    sender: Sender, request: WebhookRequest, arrival: Arrival, stored: bytes, body: bytes
) -> Outgoing:
    """Make the record of the raw body: the bytes as sent, unless the sender stores another body.
    body: the unpacked bytes. stored: the bytes to store. Raises RefusedError (413)."""
    names = {*KEPT_HEADERS, *sender.kept_headers}
    if stored is body:
        return raw_record(request, arrival, body=request.body, kept_headers=names)
    return raw_record(request, arrival, body=stored, kept_headers=names - {ENCODING})


def _raw_without(
    sender: Sender, request: WebhookRequest, arrival: Arrival, payload: Any, recorded: Recorded
) -> Outgoing | None:
    """Make the record of the raw body without the withheld reports; None if nothing remains.

    The record omits the headers of the connection, which may be a withheld person's."""
    positions = recorded.withheld_positions
    rest = without_withheld(sender, request, payload, positions, recorded.total)
    names = {*KEPT_HEADERS, *sender.kept_headers} - {ENCODING, USER_AGENT}
    if not rest:
        return None
    return raw_record(request, arrival, body=rest, kept_headers=names, withheld=len(positions))


def _read(
    sender: Sender, request: WebhookRequest, body: bytes
) -> tuple[Any, list[SenderReport], Sequence[Rejected]]:
    """Parse a verified body. Return its payload, its reports, and a rejection of the whole body if
    the sender's `keeps_unreadable` allows one. Raises RefusedError for other unreadable bodies."""
    try:
        payload = sender.parse(body)
        return payload, list(sender.messages(payload, request)), ()
    except RefusedError as error:
        if not sender.keeps_unreadable:
            raise
        return None, [], (unreadable(error),)
