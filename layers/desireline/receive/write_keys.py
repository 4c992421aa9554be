"""Write keys: the credentials of the company's own sites and servers.

One secret, a JSON document, holds all keys:

    {"keys": [{"name": "site", "key": "…", "kind": "browser", "origins": ["https://www.acme.com"]},
              {"name": "backend", "key": "…", "kind": "server"}]}

A secret that is not JSON is a single server key, named `default`. A browser's key is public,
because every visitor of the site can read it. So it may be bound to the site's origins, calls and
events, and is limited in size and rate. Receive refuses a server's key in a browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hmac import compare_digest
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from desireline.errors import RefusedError, UnavailableError

Kind = Literal["browser", "server"]

BROWSER_BODY_LIMIT = 512_000
"""Bytes of a browser's unpacked beacon or batch. Segment has the same limit."""


class WriteKey(BaseModel):
    """One key. origins: the allowed sites of a browser; empty allows all. calls, events: the
    allowed calls, such as `page`, and the allowed names of `track` calls; None allows all."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    key: Annotated[str, Field(pattern=r"^[!-9;-~]{8,200}$")]
    kind: Kind = "server"
    origins: frozenset[str] = frozenset()
    calls: frozenset[str] | None = None
    events: frozenset[str] | None = None

    def admit(self, origin: str | None, size: int) -> None:
        """Check a request's origin and its size in bytes against the key.

        Raises RefusedError: 403 for a wrong origin, 413 for a body that is too large."""
        if self.kind == "server":
            if origin is not None:
                raise RefusedError(403, "server_key", "a browser sent a server's key: replace it")
            return
        if self.origins and origin not in self.origins:
            raise RefusedError(403, "origin", "add this site to the key's origins")
        if size > BROWSER_BODY_LIMIT:
            raise RefusedError(413, "too_large", f"more than {BROWSER_BODY_LIMIT} bytes")

    def allow(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Check messages against the key's calls and events. Raises RefusedError (403)."""
        for message in messages:
            call, event = message.get("type"), message.get("event")
            if not _among(call, self.calls):
                raise RefusedError(403, "not_allowed", "add this call to the key's calls")
            if call == "track" and not _among(event, self.events):
                raise RefusedError(403, "not_allowed", "add this event to the key's events")

    @property
    def restricted(self) -> bool:
        """Whether the key limits calls or events."""
        return self.calls is not None or self.events is not None


def _among(name: object, allowed: frozenset[str] | None) -> bool:
    return allowed is None or (isinstance(name, str) and name in allowed)


class WriteKeys(BaseModel):
    """The JSON document of the secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[WriteKey, ...]


@lru_cache(maxsize=8)
def write_keys(secret: bytes) -> tuple[WriteKey, ...]:
    """Read the keys in a secret.

    Raises UnavailableError for an invalid document. We have to correct it, and callers retry."""
    if not secret.lstrip().startswith(b"{"):
        # The deployment's random value does not have to match the pattern of keys.
        return (WriteKey.model_construct(name="default", key=secret.decode(errors="replace")),)
    try:
        return WriteKeys.model_validate_json(secret).keys
    except ValidationError as error:
        raise UnavailableError(
            "the secret of the write keys is invalid: store the JSON of docs/http_api.md"
        ) from error


def matching(value: str, secrets: Sequence[bytes]) -> WriteKey | None:
    """Find the write key with a value. secrets: the newest first.

    It compares all keys in constant time, so that the duration reveals nothing."""
    candidate = value.encode(errors="replace")
    match = None
    for key in [key for secret in secrets for key in write_keys(secret)]:
        if compare_digest(candidate, key.key.encode()) and match is None:
            match = key
    return match


_IN_BODY = re.compile(rb'("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"')


def without_keys(body: bytes) -> bytes:
    """Empty the write keys in a JSON body. A server's key is a secret and must not be stored."""
    return _IN_BODY.sub(rb'\1""', body) if b'"writeKey"' in body else body
