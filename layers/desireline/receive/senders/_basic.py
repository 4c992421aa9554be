"""Basic authentication for senders without signatures. The user name is `desireline`, and the
password is the secret."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import header, refuse_unless_signed

USER = "desireline"
AUTHORIZATION = "authorization"


def refuse_unless_authenticated(request: WebhookRequest, secrets: Sequence[bytes]) -> None:
    """Check the header Authorization. secrets: the valid passwords.

    Raises RefusedError (401: unsigned, forged)."""
    scheme, _, value = header(request.headers, AUTHORIZATION).partition(" ")
    if scheme.lower() != "basic":
        raise RefusedError(401, "unsigned", "Authorization must be Basic")
    expected = [_credentials(secret) for secret in secrets]
    refuse_unless_signed(AUTHORIZATION, [value.strip()], expected)


def credentials(secret: bytes) -> dict[str, str]:
    """Return the header that a sender with this secret sends."""
    return {AUTHORIZATION: f"Basic {_credentials(secret)}"}


def _credentials(secret: bytes) -> str:
    return base64.b64encode(USER.encode() + b":" + secret).decode()
