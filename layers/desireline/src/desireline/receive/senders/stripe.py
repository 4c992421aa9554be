"""Stripe's webhooks.

Signature: `Stripe-Signature: t=…,v1=…[,v1=…]`, hex HMAC-SHA256 of `t.body`; several v1 while a
secret rotates. Written here rather than taken from Stripe's library, which is 15 MB in a layer for
these ten lines and accepts timestamps up to 24 hours ahead: the age is checked both ways.
https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import (
    Reported,
    Sender,
    equals_any,
    mapping,
    refuse_unless_fresh,
    text,
)
from desireline.receive.times import epoch_seconds

SIGNATURE = "stripe-signature"


class Stripe(Sender):
    """See the module."""

    name = "stripe"
    secret = "the endpoint's signing secret: Developers, Webhooks, the endpoint, whsec_…"
    kept_headers = (SIGNATURE,)
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        header = request.headers.get(SIGNATURE, "")
        if not header:
            raise RefusedError(401, "unsigned", "Stripe-Signature is missing")
        fields = [part.strip().partition("=") for part in header.split(",")]
        stamp = next((value for name, _, value in fields if name == "t"), "")
        given = [value for name, _, value in fields if name == "v1"]
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12 and given):
            raise RefusedError(401, "forged", "Stripe-Signature is not t=…,v1=…")
        expected = [_hmac(secret, stamp, body) for secret in secrets]
        if not any([equals_any(one, expected) for one in given]):  # noqa: C419 — all are compared
            raise RefusedError(401, "forged", "Stripe-Signature does not match")
        refuse_unless_fresh(int(stamp) * 1000, now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[Reported]:
        if not isinstance(payload, dict) or not text(payload.get("id")):
            raise RefusedError(400, "malformed", "not an event of Stripe")
        return [_reported(payload)]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now // 1000)
        return {SIGNATURE: f"t={stamp},v1={_hmac(secret, stamp, request.body)}"}


SENDER = Stripe()


def _hmac(secret: bytes, stamp: str, body: bytes) -> str:
    return hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _reported(event: Mapping[str, Any]) -> Reported:
    found = mapping(mapping(event.get("data")).get("object"))
    metadata = mapping(found.get("metadata"))
    kind = text(event.get("type")) or ""
    customer = found.get("id") if kind.startswith("customer.c") else found.get("customer")
    return Reported(
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
