"""A webhook as the use case sees it, whatever shell brought it."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desireline.errors import RefusedError

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes, unpacked: a batch of 4,000 events of 1 KB."""

PACK_ABOVE = 1024 * 1024
STORED_LIMIT = 3 * 1024 * 1024
"""Bytes of a raw body as it is stored. In its record it is base64 (4/3), and once more where the
event source hands the record to the archive (16/9): 3 MiB become 5.33 MiB of the 6 MB that an
invocation's payload may have, and a record of 4 MiB is half of MAX_MESSAGE_BYTES."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """source: the sender's name out of the path. headers: names in lower case. body: the bytes as
    sent. deadline: seconds in which we have to answer. url: as the sender called it, query
    included: some sign it. call: what follows the source in the path. method: some sign it, and
    some ask with HEAD whether there is anybody."""

    source: str
    headers: Mapping[str, str]
    body: bytes
    remote_address: str | None = None
    deadline: float = 5.0
    url: str = ""
    call: str = ""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """status, and what the body says: `reason` is a stable code, empty when all is well. withheld:
    events whose persons are suppressed or have refused consent. ignored: what is no event, as the
    plan says."""

    status: int
    reason: str = ""
    detail: str = ""
    accepted: int = 0
    quarantined: int = 0
    withheld: int = 0
    ignored: int = 0
    retry_after: int | None = None
    reply: Mapping[str, Any] | None = None
    """What the sender wants to be told instead: a challenge, an echo."""


def content(request: WebhookRequest) -> bytes:
    """The body without its content encoding. Raises RefusedError: 413, 415 or 400."""
    if len(request.body) > BODY_LIMIT:
        raise RefusedError(413, "too_large", f"more than {BODY_LIMIT} bytes")
    match request.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return request.body
        case "gzip" | "x-gzip":
            return _unzipped(request.body)
        case other:
            raise RefusedError(415, "unknown_encoding", other[:50])


def packed(body: bytes) -> tuple[bytes, str | None]:
    """A raw body as it is stored, and its encoding: large ones as gzip, where that helps.

    The same body gives the same bytes. Raises RefusedError 413 where it stays too large, as only a
    body that hardly compresses does."""
    if len(body) <= PACK_ABOVE:
        return body, None
    smaller = gzip.compress(body, compresslevel=1, mtime=0)
    stored, encoding = (smaller, "gzip") if len(smaller) < len(body) else (body, None)
    if len(stored) > STORED_LIMIT:
        raise RefusedError(413, "too_large", f"more than {STORED_LIMIT} bytes when compressed")
    return stored, encoding


def _unzipped(body: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            data = file.read(BODY_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(400, "malformed", "not gzip") from error
    if len(data) > BODY_LIMIT:
        raise RefusedError(413, "too_large", f"more than {BODY_LIMIT} bytes unpacked")
    return data
