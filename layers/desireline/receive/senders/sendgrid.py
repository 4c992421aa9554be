"""SendGrid's event webhook: deliveries, opens and clicks of messages, in batches.

Signature: `X-Twilio-Email-Event-Webhook-Signature`, base64 of an ECDSA signature (P-256, SHA-256)
of `timestamp + body`; `X-Twilio-Email-Event-Webhook-Timestamp` in seconds. The body ends in CRLF,
and SendGrid signs it too. The secret is the verification key that SendGrid shows, a public key.
This module verifies with `cryptography`. SendGrid's own library is a client of the whole API, and
verifies in pure Python, which takes milliseconds.

SendGrid repeats for 24 hours, and users report up to 46 deliveries of an event. Its `sg_event_id`
stays the same.

Set up: in Settings, Mail Settings, Event Webhooks, select delivered, opened, clicked, bounced,
dropped, spam reports, unsubscribes and group unsubscribes. The custom arguments `user_id` and
`group_id` of a message name the company's own user and account. Without `user_id`, the email
address identifies the person.
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.times import epoch_seconds
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import header, signed_at
from desireline.receive.senders.sender import (
    NOTHING,
    Sender,
    SenderReport,
    as_text,
    content_id,
    refuse_unless_fresh,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

ENGAGEMENT = ("open", "click")

_P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""The DER prefix of a public key on P-256. The point follows it."""

_PEM = re.compile(rb"-----[A-Z ]+-----|\s")


class SendGrid(Sender):
    """SendGrid. See the module."""

    name = "sendgrid"
    secret = "the verification key: Settings, Mail Settings, Event Webhooks, Signature Verification"
    keeps_unreadable = True
    kept_headers = (SIGNATURE, TIMESTAMP)
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        signature = header(request.headers, SIGNATURE)
        stamp = header(request.headers, TIMESTAMP)
        at = signed_at(stamp)
        if not any(_is_signed(signature, stamp.encode() + body, secret) for secret in secrets):
            raise RefusedError(401, "forged", f"{SIGNATURE.title()} does not match")
        refuse_unless_fresh(at, now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, list):
            raise RefusedError(400, "malformed", "the body must be a batch of SendGrid's events")
        return map(_to_report, payload)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """Return the signature's headers. Raises ValueError if the secret is a public key, because
        only SendGrid has the private key."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 — see _is_signed

        if _point(secret) is not None:
            raise ValueError("The secret is SendGrid's public key. Only SendGrid can sign.")
        stamp = str(now // 1000)
        signature = _derived_key(secret).sign(stamp.encode() + request.body, ECDSA(SHA256()))
        return {TIMESTAMP: stamp, SIGNATURE: base64.b64encode(signature).decode()}


SENDER = SendGrid()


def _is_signed(value: str, signed: bytes, secret: bytes) -> bool:
    # This import takes longer than the rest of a cold start, and few deployments use SendGrid. So
    # the first webhook of SendGrid imports it.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        signature = base64.b64decode(value, validate=True)
        _public_key(secret).verify(signature, signed, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=8)
def _public_key(secret: bytes) -> ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    point = _point(secret)
    if point is None:
        return _derived_key(secret).public_key()
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _point(secret: bytes) -> bytes | None:
    """Return the point of a public key in SendGrid's form or in PEM; None for other secrets."""
    try:
        der = base64.b64decode(_PEM.sub(b"", secret), validate=True)
    except ValueError:
        return None
    return der[len(_P256_HEAD) :] if der.startswith(_P256_HEAD) else None


@lru_cache(maxsize=8)
def _derived_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Derive a key pair from a secret that is not a public key, such as a deployment's first value.

    Tests, the demo and `desireline send` sign with it."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    number = int.from_bytes(hashlib.sha512(b"sendgrid" + secret).digest()[:31], "big")
    return ec.derive_private_key(number, ec.SECP256R1())


def _to_report(event: Any) -> SenderReport:
    if type(event) is not dict:
        event = NOTHING
    email, user, group = event.get("email"), event.get("user_id"), event.get("group_id")
    return SenderReport(
        id=as_text(event.get("sg_event_id")) or content_id(event),
        call=as_text(event.get("event")) or "",
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("timestamp")),
        # user_id and group_id are custom arguments of the message. Only one alias: a message's
        # recipient does not prove that address and user are one person.
        aliases=[(AliasType.USER, user) if user else (AliasType.EMAIL, email)],
        accounts=_accounts(group),
        person_traits={"email": email} if email else NOTHING,
        # In other events it is the address of a mail server.
        ip=as_text(event.get("ip")) if event.get("event") in ENGAGEMENT else None,
        user_agent=as_text(event.get("useragent")),
    )


def _accounts(group: object) -> Sequence[tuple[str, AccountRole]]:
    mentioned = isinstance(group, (str, int)) and not isinstance(group, bool) and group
    return ((f"group:{group}", AccountRole.MENTION),) if mentioned else ()
