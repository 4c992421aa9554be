"""Customer.io's reporting webhooks: what became of each message.

Signature: `X-CIO-Signature`, hex HMAC-SHA256 of `v0:timestamp:body`; `X-CIO-Timestamp` in seconds.
Customer.io waits 4 seconds and publishes no tolerance: ours is five minutes, both ways.
An event is named by what the message was and what became of it: `email_opened`.

Set up under Integrations, Reporting Webhooks: of emails delivered, opened, clicked, bounced,
dropped, failed, spammed and unsubscribed; of in-app messages opened and clicked. A person is known
by the id that the company has given it, and only without one by its address.
https://docs.customer.io/api/webhooks/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import TimedHeaders, hex_hmac
from desireline.receive.senders.sender import SenderReport, as_object, as_text

SIGNATURE = "x-cio-signature"
TIMESTAMP = "x-cio-timestamp"


class CustomerIo(TimedHeaders):
    """See the module."""

    name = "customerio"
    secret = "the reporting webhook's signing key: Integrations, Reporting Webhooks, the webhook"
    deadline = 4.0
    keeps_unreadable = True
    kept_headers = (SIGNATURE, TIMESTAMP)
    signature_in, time_in = SIGNATURE, TIMESTAMP
    gives_properties = False

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("event_id")):
            raise RefusedError(400, "malformed", "not an event of Customer.io")
        return [_reported(payload)]

    def signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        return hex_hmac(secret, b"v0:", stamp.encode(), b":", body)


SENDER = CustomerIo()


def _reported(event: Mapping[str, Any]) -> SenderReport:
    data = as_object(event.get("data"))
    known = as_object(data.get("identifiers"))
    user = known.get("id") or data.get("customer_id")
    recipient = known.get("email") or _address(data.get("recipient"))
    return SenderReport(
        id=str(event["event_id"]),
        call=f"{as_text(event.get('object_type')) or ''}_{as_text(event.get('metric')) or ''}",
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("timestamp")),
        # One or the other: that a message went to an address links that address to nobody.
        aliases=[(AliasType.USER, user) if user else (AliasType.EMAIL, recipient)],
        person_traits={"email": recipient} if recipient else {},
    )


def _address(recipient: object) -> str | None:
    """Recipients are devices and telephone numbers, too."""
    return recipient if isinstance(recipient, str) and "@" in recipient else None
