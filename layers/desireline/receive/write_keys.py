"""Write keys: what a site or a server of the company's own signs its events with.

They are one secret, a JSON document, so that there may be several at once:

    {"keys": [{"name": "site", "key": "…", "kind": "browser", "origins": ["https://www.acme.com"]},
              {"name": "backend", "key": "…", "kind": "server"}]}

A secret that is no JSON is one server's key, named `default`. A browser's key is public: whoever
reads the site has it. It may be bound to the site's origins and to the calls and events that the
site sends, and is limited in size and rate. A server's key in a browser is refused.
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
"""Bytes, unpacked: what a browser's beacon or batch may hold, as at Segment."""


class WriteKey(BaseModel):
    """One key. origins: those that a browser may send from, all if empty. calls, events: what it
    may say (calls such as `page`, names of `track` calls), everything if None."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    key: Annotated[str, Field(pattern=r"^[!-9;-~]{8,200}$")]
    kind: Kind = "server"
    origins: frozenset[str] = frozenset()
    calls: frozenset[str] | None = None
    events: frozenset[str] | None = None

    def admit(self, origin: str | None, size: int) -> None:
        """Raises RefusedError (403, 413) for what the key may not be used for."""
        if self.kind == "server":
            if origin is not None:
                raise RefusedError(403, "server_key", "a server's key in a browser: replace it")
            return
        if self.origins and origin not in self.origins:
            raise RefusedError(403, "origin", "the key does not hold for this origin")
        if size > BROWSER_BODY_LIMIT:
            raise RefusedError(413, "too_large", f"more than {BROWSER_BODY_LIMIT} bytes")

    def allow(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Raises RefusedError (403) where one of the messages says what the key may not say."""
        for message in messages:
            call, event = message.get("type"), message.get("event")
            if not _among(call, self.calls):
                raise RefusedError(403, "not_allowed", "the key may not make this call")
            if call == "track" and not _among(event, self.events):
                raise RefusedError(403, "not_allowed", "the key may not send this event")

    @property
    def restricted(self) -> bool:
        """Whether what it may say is limited."""
        return self.calls is not None or self.events is not None


def _among(said: object, allowed: frozenset[str] | None) -> bool:
    return allowed is None or (isinstance(said, str) and said in allowed)


class WriteKeys(BaseModel):
    """The document."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[WriteKey, ...]


@lru_cache(maxsize=8)
def write_keys(secret: bytes) -> tuple[WriteKey, ...]:
    """The keys in a secret. Raises UnavailableError where it cannot be read: it is ours to mend,
    and what was sent meanwhile comes again."""
    if not secret.lstrip().startswith(b"{"):
        # Not validated: it is what the deployment made, or what an operator typed.
        return (WriteKey.model_construct(name="default", key=secret.decode(errors="replace")),)
    try:
        return WriteKeys.model_validate_json(secret).keys
    except ValidationError as error:
        raise UnavailableError("the write keys cannot be read") from error


def matching(given: str, secrets: Sequence[bytes]) -> WriteKey | None:
    """The key that was given, the newest secret first; all are compared, so that time tells
    nothing."""
    told = given.encode(errors="replace")
    found = None
    for key in [key for secret in secrets for key in write_keys(secret)]:
        if compare_digest(told, key.key.encode()) and found is None:
            found = key
    return found


_IN_BODY = re.compile(rb'("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"')


def without_keys(body: bytes) -> bytes:
    """A JSON body with its write keys emptied: a server's is a secret, and is not kept."""
    return _IN_BODY.sub(rb'\1""', body) if b'"writeKey"' in body else body
