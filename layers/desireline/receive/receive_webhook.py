"""ReceiveWebhook: verify, map, make durable, answer.

A 2xx means that raw body, events and quarantined events are in Kafka, acknowledged by all in-sync
replicas. What a sender did wrong is answered with a 4xx and a reason; only Kafka's absence is a
5xx, so that the sender comes again.
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
"""Of a sender's patience: what is not in Kafka by then is answered with 503, in time."""

SHORTEST_FLUSH = 0.2
BUSY = 429
UNKNOWN_SENDER = "unknown_sender"


class ReceiveWebhook:
    """senders: by their name in the path."""

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
        """Take a webhook. Never raises for what a sender can send."""
        sender = self._senders.get(request.source)
        if sender is None:
            self._metrics.count("webhooks_refused", reason=UNKNOWN_SENDER)
            return Answer(404, UNKNOWN_SENDER, "no such webhook")
        if request.method == "HEAD":
            # It asks whether there is anybody, before it has anything to sign.
            return Answer(200)
        try:
            answer = self._take(sender, request)
        except RefusedError as error:
            self._metrics.count("webhooks_refused", reason=error.reason)
            status = sender.busy if error.status == BUSY else error.status
            refused = Answer(status, error.reason, error.detail, retry_after=error.retry_after)
            return sender.told(refused, request)
        except RetryableError as error:
            self._metrics.count("webhooks_unavailable")
            unavailable = Answer(503, "unavailable", type(error).__name__, retry_after=RETRY_AFTER)
            return sender.told(unavailable, request)
        self._metrics.count("webhooks_accepted")
        return answer

    def _take(self, sender: Sender, request: WebhookRequest) -> Answer:
        began = self._wall.now()
        body = content(request)
        key = self._verify(sender, request, body)
        payload, reports, rejected = _read(sender, request, body)
        if self._throttle:
            self._throttle.take(sender.name, key, len(reports))
        arrival = Arrival(raw_id(sender.name, body), self._clock.now(), self._wall.now())
        # Made before anything is produced, for a body that cannot be stored is refused.
        whole = _raw(sender, request, arrival, sender.kept(request, body), body)
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
        """Suppress these; until: wall time. Raises RetryableError where time ends first: the
        sender comes again, and what is done is done."""
        if self._objections is None:
            return
        for alias in objecting:
            if self._wall.now() >= until:
                raise UnavailableError("not all who object are suppressed yet")
            self._objections(alias, sender.name)

    def _verify(self, sender: Sender, request: WebhookRequest, body: bytes) -> str | None:
        """With the secrets known; on a failure with those of now: one may just have rotated."""
        now = self._wall.now()
        try:
            return sender.verify(request, body, self._secrets.current(sender.name), now)
        except RefusedError as error:
            if error.status != 401 or not self._secrets.refresh(sender.name):
                raise
            return sender.verify(request, body, self._secrets.current(sender.name), now)


def _raw(
    sender: Sender, request: WebhookRequest, arrival: Arrival, kept: bytes, body: bytes
) -> Outgoing:
    """The raw body as it was sent, or what of the unpacked one is kept. Raises RefusedError."""
    names = {*KEPT_HEADERS, *sender.kept_headers}
    if kept is body:
        return raw_record(request, arrival, body=request.body, kept=names)
    return raw_record(request, arrival, body=kept, kept=names - {ENCODING})


def _raw_without(
    sender: Sender, request: WebhookRequest, arrival: Arrival, payload: Any, recorded: Recorded
) -> Outgoing | None:
    """Return the raw body without the withheld reports, and without the headers that describe the
    connection, which may be their person's; None if nothing of it may be kept."""
    positions = recorded.withheld_positions
    kept = without_withheld(sender, request, payload, positions, recorded.total)
    names = {*KEPT_HEADERS, *sender.kept_headers} - {ENCODING, USER_AGENT}
    if not kept:
        return None
    return raw_record(request, arrival, body=kept, kept=names, withheld=len(positions))


def _read(
    sender: Sender, request: WebhookRequest, body: bytes
) -> tuple[Any, list[SenderReport], Sequence[Rejected]]:
    """What a verified body says, the reports in it, and the body itself where it is not of the
    sender's form and the sender wants it kept. Raises RefusedError."""
    try:
        payload = sender.parse(body)
        return payload, list(sender.messages(payload, request)), ()
    except RefusedError as error:
        if not sender.keeps_unreadable:
            raise
        return None, [], (unreadable(error),)
