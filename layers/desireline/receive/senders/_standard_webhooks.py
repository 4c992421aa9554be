"""Any sender of Standard Webhooks, by configuration: where in its messages things are is data.

Such a sender is a file `tracking_plan/senders/<name>.yaml` with `scheme: standard_webhooks` and a
`message`, besides its mappings; docs/adding_a_sender.md says how.

Signature: `webhook-signature`, a list of `v1,` and base64 HMAC-SHA256, or `v1a,` and base64
Ed25519, over `id.timestamp.body`; `webhook-id` and `webhook-timestamp` in seconds. Svix, on which
many senders build, calls the same headers `svix-…`. A secret is `whsec_` and base64, or for Ed25519
the public key, `whpk_` and base64.

Verified here rather than by the library `standardwebhooks`: it reads a clock of its own, knows one
secret, decodes the body to text, and raises ValueError for a signature without a comma and for a
body that is no UTF-8, which would become a 5xx.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from desireline.errors import RefusedError
from desireline.plan.tracking_plan import MessagePaths, SenderWords
from desireline.receive.mapping.by_paths import report_by_paths
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import signed_at
from desireline.receive.senders.sender import Sender, SenderReport, equals_any, refuse_unless_fresh

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

PREFIXES = ("webhook-", "svix-")
PARTS = ("id", "timestamp", "signature")
SHARED, PUBLIC, PRIVATE = b"whsec_", b"whpk_", b"whsk_"
SIGNATURES_LIMIT = 10
"""Of one request: a sender that rotates sends two."""


class StandardWebhooks(Sender):
    """See the module."""

    kept_headers = tuple(prefix + part for prefix in PREFIXES for part in PARTS)
    keeps_unreadable = True

    def __init__(self, words: SenderWords, paths: MessagePaths) -> None:
        """words: of the sender's file; paths: those that it gives."""
        self.name = self.mapped_as = words.sender
        self.secret = words.secret or "the endpoint's signing secret: whsec_…, or whpk_… for v1a"
        self.deadline = words.deadline
        self._paths = paths

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        message_id, stamp, given = (_header(request.headers, part) for part in PARTS)
        at = signed_at(stamp)
        signed = f"{message_id}.{stamp}.".encode(errors="replace") + body
        signatures = [one.partition(",") for one in given.split(" ")[:SIGNATURES_LIMIT]]
        shared = [value for version, _, value in signatures if version == "v1"]
        by_key = [value for version, _, value in signatures if version == "v1a"]
        if not (_shared(shared, signed, secrets) or _by_key(by_key, signed, secrets)):
            raise RefusedError(401, "forged", "Webhook-Signature does not match")
        refuse_unless_fresh(at, now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict):
            raise RefusedError(400, "malformed", "not an object")
        return [report_by_paths(self._paths, payload, fallback_id=_header(request.headers, "id"))]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """Raises ValueError where the secret is a public key: only the sender can sign for it."""
        stamp = str(now // 1000)
        message_id = request.headers.get("webhook-id") or _id(request.body)
        signed = f"{message_id}.{stamp}.".encode() + request.body
        if secret.startswith(PUBLIC):
            raise ValueError("the secret is the sender's public key: nobody else can sign for it")
        if secret.startswith(PRIVATE):
            signature = "v1a," + base64.b64encode(_private_key(secret).sign(signed)).decode()
        else:
            signature = "v1," + _hmac(secret, signed)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
        }


def configured(words: SenderWords) -> StandardWebhooks:
    """The sender of a file. Raises ValueError where it does not say where things are."""
    if words.message is None:
        raise ValueError(f"{words.sender} does not say in `message` where things are")
    return StandardWebhooks(words, words.message)


def _header(headers: Mapping[str, str], part: str) -> str:
    for prefix in PREFIXES:
        if value := headers.get(prefix + part):
            return value
    raise RefusedError(401, "unsigned", f"Webhook-{part.title()} is missing")


def _id(body: bytes) -> str:
    return "msg_" + hashlib.sha256(body).hexdigest()[:24]


def _shared(given: Sequence[str], signed: bytes, secrets: Sequence[bytes]) -> bool:
    if not given:
        return False
    ours = [_hmac(one, signed) for one in secrets if not one.startswith((PUBLIC, PRIVATE))]
    return any([equals_any(one, ours) for one in given])  # noqa: C419 — all are compared


def _hmac(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_hmac_key(secret), signed, "sha256")).decode()


@lru_cache(maxsize=32)
def _hmac_key(secret: bytes) -> bytes:
    """What a secret says in base64; one that is none is the key itself."""
    try:
        return base64.b64decode(secret.removeprefix(SHARED), validate=True)
    except ValueError:
        return secret


def _by_key(given: Sequence[str], signed: bytes, secrets: Sequence[bytes]) -> bool:
    keys = [one for one in secrets if one.startswith((PUBLIC, PRIVATE))]
    return any(_is_signed(value, signed, key) for value in given for key in keys)


def _is_signed(given: str, signed: bytes, secret: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 — few senders need it

    try:
        _public_key(secret).verify(base64.b64decode(given, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def _public_key(secret: bytes) -> ed25519.Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    if secret.startswith(PRIVATE):
        return _private_key(secret).public_key()
    key = base64.b64decode(secret.removeprefix(PUBLIC), validate=True)
    return ed25519.Ed25519PublicKey.from_public_bytes(key)


def _private_key(secret: bytes) -> ed25519.Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    # The seed, which libraries write with the public key behind it.
    seed = base64.b64decode(secret.removeprefix(PRIVATE), validate=True)[:32]
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
