"""Calendly's webhook subscriptions: meetings booked and cancelled.

Signature: `Calendly-Webhook-Signature: t=…,v1=…`, hex HMAC-SHA256 of `t.body`. Calendly's own
example allows three minutes. We allow five minutes in both directions, as for other senders.
Calendly retries for 24 hours and then disables the subscription. So receive quarantines a signed
body that it cannot read, and answers 200.

Set up: call its API, `POST /webhook_subscriptions`, with the events `invitee.created` and
`invitee.canceled`, and with the secret as `signing_key`. If an invitee moves a meeting, Calendly
sends both events, and both carry `rescheduled`.
https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AliasType
from desireline.receive.mapping.times import epoch_ms
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import TimedFields
from desireline.receive.senders.sender import SenderReport, as_object, as_text

SIGNATURE = "calendly-webhook-signature"


class Calendly(TimedFields):
    """Calendly. See the module."""

    name = "calendly"
    secret = "the signing key that the webhook subscription was created with"
    deadline = 15.0
    keeps_unreadable = True
    kept_headers = (SIGNATURE,)
    in_header = SIGNATURE

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("event")):
            raise RefusedError(400, "malformed", "the body must be an event of Calendly")
        return [_to_report(payload)]


SENDER = Calendly()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    invitee = as_object(event.get("payload"))
    meeting = as_object(invitee.get("scheduled_event"))
    kind, created = str(event["event"]), as_text(event.get("created_at")) or ""
    return SenderReport(
        id=_id(kind, as_text(invitee.get("uri")) or "", created),
        call=kind,
        event=None,
        message=event,
        occurred_at=epoch_ms(created),
        # The invitee types the address, so the event must not link it to another alias.
        aliases=[(AliasType.EMAIL, invitee.get("email"))],
        properties=_duration(meeting),
        person_traits={
            name: invitee.get(name)
            for name in ("email", "name", "first_name", "last_name", "timezone")
        },
    )


def _duration(meeting: Mapping[str, Any]) -> Mapping[str, Any]:
    starts, ends = epoch_ms(meeting.get("start_time")), epoch_ms(meeting.get("end_time"))
    return {} if starts is None or ends is None else {"duration": (ends - starts) / 1000}


def _id(kind: str, invitee: str, created: str) -> str:
    """Return an id of kind, invitee and time, because Calendly's events have none."""
    return hashlib.sha256("\n".join((kind, invitee, created)).encode()).hexdigest()
