"""Stripe's webhooks.

Signature: `Stripe-Signature: t=…,v1=…[,v1=…]`, hex HMAC-SHA256 of `t.body`, with several v1 while a
secret rotates. This module does not use Stripe's library. The library adds 15 MB to a layer, and
accepts times up to 24 hours ahead. We allow five minutes in both directions.
https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import TimedFields
from desireline.receive.senders.sender import SenderReport, as_object, as_text

SIGNATURE = "stripe-signature"


class Stripe(TimedFields):
    """Stripe. See the module."""

    name = "stripe"
    secret = "the endpoint's signing secret: Developers, Webhooks, the endpoint, whsec_…"
    kept_headers = (SIGNATURE,)
    in_header = SIGNATURE
    gives_properties = False

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "the body must be an event of Stripe")
        return [_to_report(payload)]


SENDER = Stripe()


def _to_report(event: Mapping[str, Any]) -> SenderReport:
    subject = as_object(as_object(event.get("data")).get("object"))
    metadata = as_object(subject.get("metadata"))
    kind = as_text(event.get("type")) or ""
    customer = subject.get("id") if kind.startswith("customer.c") else subject.get("customer")
    return SenderReport(
        id=str(event["id"]),
        call=kind,
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("created")),
        aliases=[
            (AliasType.USER, metadata.get("user_id") or subject.get("client_reference_id")),
            (AliasType.BILLING, customer),
            (AliasType.EMAIL, subject.get("email") or subject.get("customer_email")),
        ],
        accounts=_accounts(metadata.get("group_id"), customer),
        person_traits={
            "email": subject.get("email") or subject.get("customer_email"),
            "name": subject.get("name") or subject.get("customer_name"),
        },
    )


def _accounts(group: object, customer: object) -> list[tuple[str, AccountRole]]:
    """Return the accounts of a customer. The person who pays for an account owns it."""
    keys = (("group", group), ("cus", customer))
    return [
        (f"{kind}:{value}", AccountRole.OWNER)
        for kind, value in keys
        if isinstance(value, str) and value
    ]
