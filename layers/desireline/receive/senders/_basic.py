"""Basic authentication, of senders that sign nothing: the user is `desireline`, the password is the
secret."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders._timed import header, refuse_unless_signed

USER = "desireline"
AUTHORIZATION = "authorization"


def refuse_unless_known(request: WebhookRequest, secrets: Sequence[bytes]) -> None:
    """Raises RefusedError (401: unsigned, forged)."""
    scheme, _, given = header(request.headers, AUTHORIZATION).partition(" ")
    if scheme.lower() != "basic":
        raise RefusedError(401, "unsigned", "Authorization is not Basic")
    refuse_unless_signed(AUTHORIZATION, [given.strip()], [_credentials(one) for one in secrets])


def credentials(secret: bytes) -> dict[str, str]:
    """The header that a sender with this secret sends."""
    return {AUTHORIZATION: f"Basic {_credentials(secret)}"}


def _credentials(secret: bytes) -> str:
    return base64.b64encode(USER.encode() + b":" + secret).decode()
