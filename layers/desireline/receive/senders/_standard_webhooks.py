"""Senders of Standard Webhooks: a file of the tracking plan describes each, without any code.

The file is `tracking_plan/senders/<name>.yaml`. It has `scheme: standard_webhooks`, `message` and
the mappings. docs/adding_a_sender.md explains it.

Signature: `webhook-signature` lists signatures of `id.timestamp.body`. Each is `v1,` and base64
HMAC-SHA256, or `v1a,` and base64 Ed25519. `webhook-timestamp` is in seconds. Svix, the service
behind many senders, names the headers `svix-…`. A secret is `whsec_` and base64. For Ed25519 it is
the public key, `whpk_` and base64.

This module does not use the library `standardwebhooks`. The library reads its own clock, supports
one secret and decodes the body to text. It raises ValueError for a signature without a comma and
for a body that is not UTF-8, and the answer would be a 5xx.
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
"""Signatures of one request. A sender sends two while its secret rotates."""


class StandardWebhooks(Sender):
    """A sender of Standard Webhooks. See the module."""

    kept_headers = tuple(prefix + part for prefix in PREFIXES for part in PARTS)
    keeps_unreadable = True

    def __init__(self, file: SenderWords, paths: MessagePaths) -> None:
        """file: the sender's file. paths: its `message`."""
        self.name = self.mapped_as = file.sender
        self.secret = file.secret or "the endpoint's signing secret: whsec_…, or whpk_… for v1a"
        self.deadline = file.deadline
        self._paths = paths

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        message_id, stamp, listed = (_header(request.headers, part) for part in PARTS)
        at = signed_at(stamp)
        signed = f"{message_id}.{stamp}.".encode(errors="replace") + body
        signatures = [entry.partition(",") for entry in listed.split(" ")[:SIGNATURES_LIMIT]]
        shared = [value for version, _, value in signatures if version == "v1"]
        by_key = [value for version, _, value in signatures if version == "v1a"]
        if not (_shared(shared, signed, secrets) or _by_key(by_key, signed, secrets)):
            raise RefusedError(401, "forged", "Webhook-Signature does not match")
        refuse_unless_fresh(at, now)

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        if not isinstance(payload, dict):
            raise RefusedError(400, "malformed", "the body must be a JSON object")
        return [report_by_paths(self._paths, payload, fallback_id=_header(request.headers, "id"))]

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """Return the signature's headers. Raises ValueError if the secret is a public key, because
        only the sender has the private key."""
        stamp = str(now // 1000)
        message_id = request.headers.get("webhook-id") or _id(request.body)
        signed = f"{message_id}.{stamp}.".encode() + request.body
        if secret.startswith(PUBLIC):
            raise ValueError("The secret is a public key. Sign with the private key, whsk_…")
        if secret.startswith(PRIVATE):
            signature = "v1a," + base64.b64encode(_private_key(secret).sign(signed)).decode()
        else:
            signature = "v1," + _hmac(secret, signed)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
        }


def configured(file: SenderWords) -> StandardWebhooks:
    """Make the sender of a file. Raises ValueError if the file has no `message`."""
    if file.message is None:
        raise ValueError(
            f"{file.sender}.yaml has no `message`. Add it with the paths of its parts."
        )
    return StandardWebhooks(file, file.message)


def _header(headers: Mapping[str, str], part: str) -> str:
    for prefix in PREFIXES:
        if value := headers.get(prefix + part):
            return value
    raise RefusedError(401, "unsigned", f"Webhook-{part.title()} is missing")


def _id(body: bytes) -> str:
    return "msg_" + hashlib.sha256(body).hexdigest()[:24]


def _shared(signatures: Sequence[str], signed: bytes, secrets: Sequence[bytes]) -> bool:
    if not signatures:
        return False
    shared = [secret for secret in secrets if not secret.startswith((PUBLIC, PRIVATE))]
    expected = [_hmac(secret, signed) for secret in shared]
    return any([equals_any(value, expected) for value in signatures])  # noqa: C419 — compares all


def _hmac(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_hmac_key(secret), signed, "sha256")).decode()


@lru_cache(maxsize=32)
def _hmac_key(secret: bytes) -> bytes:
    """Decode a secret from base64. A secret that is not base64 is the key itself."""
    try:
        return base64.b64decode(secret.removeprefix(SHARED), validate=True)
    except ValueError:
        return secret


def _by_key(signatures: Sequence[str], signed: bytes, secrets: Sequence[bytes]) -> bool:
    keys = [secret for secret in secrets if secret.startswith((PUBLIC, PRIVATE))]
    return any(_is_signed(value, signed, key) for value in signatures for key in keys)


def _is_signed(signature: str, signed: bytes, secret: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 — few senders need it

    try:
        _public_key(secret).verify(base64.b64decode(signature, validate=True), signed)
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

    # Libraries append the public key to the 32 bytes of the seed.
    seed = base64.b64decode(secret.removeprefix(PRIVATE), validate=True)[:32]
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
