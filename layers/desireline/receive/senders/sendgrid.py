"""SendGrid's event webhook: what became of each message, in batches.

Signature: `X-Twilio-Email-Event-Webhook-Signature`, base64 of an ECDSA signature (P-256, SHA-256)
over `timestamp + body`; `X-Twilio-Email-Event-Webhook-Timestamp` in seconds. The body ends in CRLF,
and that is signed as well. What is stored as the secret is the verification key that SendGrid
shows: a public key. Verified by `cryptography`; SendGrid's own library is a client of its whole API
that verifies in pure Python, which takes milliseconds.

SendGrid repeats for 24 hours, and has been seen to deliver an event up to 46 times: `sg_event_id`
is what makes it one.

Set up under Settings, Mail Settings, Event Webhooks: delivered, opened, clicked, bounced, dropped,
spam reports, unsubscribes and group unsubscribes. Messages that carry the custom arguments
`user_id` and `group_id` are known by these, others by their address.
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
"""What a public key on P-256 begins with in DER; the point follows."""

_PEM = re.compile(rb"-----[A-Z ]+-----|\s")


class SendGrid(Sender):
    """See the module."""

    name = "sendgrid"
    secret = "the verification key: Settings, Mail Settings, Event Webhooks, Signature Verification"
    keeps_unreadable = True
    kept_headers = (SIGNATURE, TIMESTAMP)
    gives_properties = False

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given = header(request.headers, SIGNATURE)
        stamp = header(request.headers, TIMESTAMP)
        at = signed_at(stamp)
        if not any(_is_signed(given, stamp.encode() + body, secret) for secret in secrets):
            raise RefusedError(401, "forged", f"{SIGNATURE.title()} does not match")
        refuse_unless_fresh(at, now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, list):
            raise RefusedError(400, "malformed", "not a batch of SendGrid's events")
        return map(_reported, payload)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """Raises ValueError where the secret is a public key: only SendGrid can sign for it."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 — see _is_signed

        if _point(secret) is not None:
            raise ValueError("the secret is SendGrid's public key: nobody else can sign for it")
        stamp = str(now // 1000)
        signature = _stand_in(secret).sign(stamp.encode() + request.body, ECDSA(SHA256()))
        return {TIMESTAMP: stamp, SIGNATURE: base64.b64encode(signature).decode()}


SENDER = SendGrid()


def _is_signed(given: str, signed: bytes, secret: bytes) -> bool:
    # Imported by the first webhook of SendGrid: it takes longer than all the rest of a cold start's
    # own code, and others do without.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        signature = base64.b64decode(given, validate=True)
        _public_key(secret).verify(signature, signed, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=8)
def _public_key(secret: bytes) -> ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    point = _point(secret)
    if point is None:
        return _stand_in(secret).public_key()
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _point(secret: bytes) -> bytes | None:
    """The point of a public key, as SendGrid shows it or as a PEM file; None for anything else."""
    try:
        der = base64.b64decode(_PEM.sub(b"", secret), validate=True)
    except ValueError:
        return None
    return der[len(_P256_HEAD) :] if der.startswith(_P256_HEAD) else None


@lru_cache(maxsize=8)
def _stand_in(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """A key pair out of a secret that is no public key: what stands there until SendGrid's key is
    stored, and lets tests, the demo and `desireline send` sign."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    number = int.from_bytes(hashlib.sha512(b"sendgrid" + secret).digest()[:31], "big")
    return ec.derive_private_key(number, ec.SECP256R1())


def _reported(event: Any) -> SenderReport:
    if type(event) is not dict:
        event = NOTHING
    email, user, group = event.get("email"), event.get("user_id"), event.get("group_id")
    return SenderReport(
        id=as_text(event.get("sg_event_id")) or content_id(event),
        call=as_text(event.get("event")) or "",
        event=None,
        message=event,
        occurred_at=epoch_seconds(event.get("timestamp")),
        # user_id and group_id are custom arguments of the message. One or the other: that a message
        # went to an address links that address to nobody.
        aliases=[(AliasType.USER, user) if user else (AliasType.EMAIL, email)],
        accounts=_accounts(group),
        person_traits={"email": email} if email else NOTHING,
        # Elsewhere it is the address of a mail server.
        ip=as_text(event.get("ip")) if event.get("event") in ENGAGEMENT else None,
        user_agent=as_text(event.get("useragent")),
    )


def _accounts(group: object) -> Sequence[tuple[str, AccountRole]]:
    mentioned = isinstance(group, (str, int)) and not isinstance(group, bool) and group
    return ((f"group:{group}", AccountRole.MENTION),) if mentioned else ()
