"""Customer.io's reporting webhooks: deliveries, opens and clicks of messages.

Signature: `X-CIO-Signature`, hex HMAC-SHA256 of `v0:timestamp:body`; `X-CIO-Timestamp` in seconds.
Customer.io waits 4 seconds and publishes no tolerance. We allow five minutes in both directions.
An event's name combines the kind of message and its metric: `email_opened`.

Set up: in Integrations, Reporting Webhooks, select emails delivered, opened, clicked, bounced,
dropped, failed, spammed and unsubscribed, and in-app messages opened and clicked. The company's own
id identifies a person. Without such an id, the email address does.
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
    """Customer.io. See the module."""

    name = "customerio"
    secret = "the reporting webhook's signing key: Integrations, Reporting Webhooks, the webhook"
    deadline = 4.0
    keeps_unreadable = True
    kept_headers = (SIGNATURE, TIMESTAMP)
    signature_in, time_in = SIGNATURE, TIMESTAMP
    gives_properties = False

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("event_id")):
            raise RefusedError(400, "malformed", "the body must be an event of Customer.io")
        return [_to_report(payload)]

    def signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        return hex_hmac(secret, b"v0:", stamp.encode(), b":", body)


SENDER = CustomerIo()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    data = as_object(event.get("data"))
    identifiers = as_object(data.get("identifiers"))
    user = identifiers.get("id") or data.get("customer_id")
    recipient = identifiers.get("email") or _address(data.get("recipient"))
    return SenderReport(
        id=str(event["event_id"]),
        call=f"{as_text(event.get('object_type')) or ''}_{as_text(event.get('metric')) or ''}",
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("timestamp")),
        # Only one alias: a message's recipient does not prove that address and user are one person.
        aliases=[(AliasType.USER, user) if user else (AliasType.EMAIL, recipient)],
        person_traits={"email": recipient} if recipient else {},
    )


def _address(recipient: object) -> str | None:
    """Return a recipient that is an email address. Others are devices or telephone numbers."""
    return recipient if isinstance(recipient, str) and "@" in recipient else None
