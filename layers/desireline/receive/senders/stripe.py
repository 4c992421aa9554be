"""Stripe's webhooks.

Signature: `Stripe-Signature: t=…,v1=…[,v1=…]`, hex HMAC-SHA256 of `t.body`; several v1 while a
secret rotates. Written here rather than taken from Stripe's library, which is 15 MB in a layer for
these ten lines and accepts timestamps up to 24 hours ahead: the age is checked both ways.
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
    """See the module."""

    name = "stripe"
    secret = "the endpoint's signing secret: Developers, Webhooks, the endpoint, whsec_…"
    kept_headers = (SIGNATURE,)
    in_header = SIGNATURE
    gives_properties = False

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict) or not as_text(payload.get("id")):
            raise RefusedError(400, "malformed", "not an event of Stripe")
        return [_reported(payload)]


SENDER = Stripe()


def _reported(event: Mapping[str, Any]) -> SenderReport:
    found = as_object(as_object(event.get("data")).get("object"))
    metadata = as_object(found.get("metadata"))
    kind = as_text(event.get("type")) or ""
    customer = found.get("id") if kind.startswith("customer.c") else found.get("customer")
    return SenderReport(
        id=str(event["id"]),
        call=kind,
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("created")),
        aliases=[
            (AliasType.USER, metadata.get("user_id") or found.get("client_reference_id")),
            (AliasType.BILLING, customer),
            (AliasType.EMAIL, found.get("email") or found.get("customer_email")),
        ],
        accounts=_accounts(metadata.get("group_id"), customer),
        person_traits={
            "email": found.get("email") or found.get("customer_email"),
            "name": found.get("name") or found.get("customer_name"),
        },
    )


def _accounts(group: object, customer: object) -> list[tuple[str, AccountRole]]:
    """Who pays for an account owns it."""
    keys = (("group", group), ("cus", customer))
    return [
        (f"{kind}:{value}", AccountRole.OWNER)
        for kind, value in keys
        if isinstance(value, str) and value
    ]
