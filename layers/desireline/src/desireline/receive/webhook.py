"""ReceiveWebhook: verify, map, make durable, answer.

A 2xx means that raw body, events and quarantined events are in Kafka, acknowledged by all in-sync
replicas. What a sender did wrong is answered with a 4xx and a reason; only Kafka's absence is a
5xx, so that the sender comes again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.contracts import Topic
from desireline.errors import InvalidEventError, RefusedError, RetryableError
from desireline.ports import Clock, Metrics, Producer, Secrets, Suppressions
from desireline.receive.canonical import Canonical
from desireline.receive.mapping import (
    Arrival,
    Ignored,
    Mapped,
    MapWebhook,
    Outcome,
    Refusal,
    Withheld,
    raw_id,
)
from desireline.receive.raw import raw_record, without_withheld
from desireline.receive.request import Answer, WebhookRequest, content
from desireline.receive.senders.sender import NOTHING, Reported, Sender
from desireline.receive.throttle import Throttle
from desireline.records import Outgoing

FLUSH_SECONDS = 2.5
RETRY_AFTER = 5
ENCODING = "content-encoding"
USER_AGENT = "user-agent"
KEPT_HEADERS = ("content-type", ENCODING, USER_AGENT)
ANSWER_SHARE = 0.6
"""Of a sender's patience: what is not in Kafka by then is answered with 503, in time."""

SHORTEST_FLUSH = 0.2
BUSY = 429

UNREADABLE = Reported("", "", None, NOTHING, None, ())
"""A body of which nothing can be told apart."""


class ReceiveWebhook:
    """senders: by their name in the path."""

    def __init__(
        self,
        *,
        senders: Mapping[str, Sender],
        secrets: Secrets,
        canonical: Canonical,
        plan_version: str,
        producer: Producer,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        throttle: Throttle | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        self._senders = senders
        self._throttle = throttle
        self._secrets = secrets
        self._map = MapWebhook(canonical, plan_version, suppressions)
        self._producer = producer
        self._clock = clock
        self._wall = wall
        self._metrics = metrics

    def __call__(self, request: WebhookRequest) -> Answer:
        """Take a webhook. Never raises for what a sender can send."""
        sender = self._senders.get(request.source)
        if sender is None:
            self._metrics.count("webhooks_refused", reason="unknown_sender")
            return Answer(404, "unknown_sender", "no such webhook")
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
        payload, reports, unreadable = _read(sender, request, body)
        if self._throttle:
            self._throttle.take(sender.name, key, len(reports))
        arrival = Arrival(raw_id(sender.name, body), self._clock.now(), self._wall.now())
        outcomes = [*self._map(sender, reports, arrival), *unreadable]
        withheld = {one.place: one.reason for one in outcomes if isinstance(one, Withheld)}
        kept = sender.kept(request, body)
        if withheld:
            kept = without_withheld(sender, request, payload, withheld, len(outcomes))
        if kept is body:
            self._produce_raw(sender, request, arrival, body=request.body)
        elif kept:
            self._produce_raw(
                sender, request, arrival, body=kept, rewritten=True, withheld=len(withheld)
            )
        reasons = self._produce(sender, outcomes, arrival)
        patience = min(sender.deadline, request.deadline) * ANSWER_SHARE
        spent = (self._wall.now() - began) / 1000
        self._producer.flush(max(SHORTEST_FLUSH, min(FLUSH_SECONDS, patience - spent)))
        for reason, count in reasons.items():
            self._metrics.count("events_quarantined", count, reason=reason)
        for reason, count in Counter(withheld.values()).items():
            self._metrics.count("events_withheld", count, reason=reason)
        ignored = sum(isinstance(one, Ignored) for one in outcomes)
        if ignored:
            self._metrics.count("events_ignored", ignored, sender=sender.name)
        quarantined = reasons.total()
        return Answer(
            200,
            accepted=len(outcomes) - quarantined - len(withheld) - ignored,
            quarantined=quarantined,
            withheld=len(withheld),
            ignored=ignored,
            reply=sender.reply(payload),
        )

    def _produce(
        self, sender: Sender, outcomes: Iterable[Outcome], arrival: Arrival
    ) -> Counter[str]:
        """Events and refusals to their topics; how many were refused, by reason."""
        reasons: Counter[str] = Counter()
        for outcome in outcomes:
            if isinstance(outcome, Mapped):
                self._producer.produce(
                    Outgoing(Topic.EVENTS_RECEIVED, outcome.fragment, outcome.event)
                )
            elif isinstance(outcome, Refusal):
                reasons[outcome.error.reason] += 1
                message = self._map.quarantined(sender.name, outcome, arrival)
                self._producer.produce(
                    Outgoing(Topic.EVENTS_QUARANTINED, sender.name, message.encode())
                )
        return reasons

    def _verify(self, sender: Sender, request: WebhookRequest, body: bytes) -> str | None:
        """With the secrets known; on a failure with those of now: one may just have rotated."""
        now = self._wall.now()
        try:
            return sender.verify(request, body, self._secrets.current(sender.name), now)
        except RefusedError as error:
            if error.status != 401 or not self._secrets.refresh(sender.name):
                raise
            return sender.verify(request, body, self._secrets.current(sender.name), now)

    def _produce_raw(
        self,
        sender: Sender,
        request: WebhookRequest,
        arrival: Arrival,
        *,
        body: bytes,
        rewritten: bool = False,
        withheld: int = 0,
    ) -> None:
        """body: as it is stored; rewritten: not as it was sent. Where somebody's messages were
        taken out of it, what tells of the connection goes with them: it may be theirs."""
        names = {*KEPT_HEADERS, *sender.kept_headers}
        if rewritten:
            names.discard(ENCODING)
        if withheld:
            names.discard(USER_AGENT)
        raw = raw_record(request, arrival, body=body, kept=names, withheld=withheld)
        self._producer.produce(raw)


def _read(
    sender: Sender, request: WebhookRequest, body: bytes
) -> tuple[Any, list[Reported], Sequence[Refusal]]:
    """What a verified body says, the reports in it, and the body itself where it is not of the
    sender's form and the sender wants it kept. Raises RefusedError."""
    try:
        payload = sender.parse(body)
        return payload, list(sender.messages(payload, request)), ()
    except RefusedError as error:
        if not sender.keeps_unreadable:
            raise
        return None, [], (Refusal(0, UNREADABLE, InvalidEventError(error.reason, error.detail)),)
