"""The request and the answer of a webhook, independent of HTTP and Lambda."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desireline.errors import RefusedError

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of an unpacked body: 4,000 events of 1 KB."""

PACK_ABOVE = 1024 * 1024
STORED_LIMIT = 3 * 1024 * 1024
"""Bytes of a stored raw body. Its record holds it as base64 (factor 4/3), and the archive's event
source encodes the record as base64 too (16/9). So 3 MiB become 5.33 MiB of an invocation's payload,
which may have 6 MB. The record itself has 4 MiB, half of MAX_MESSAGE_BYTES."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """An HTTP request of a sender. source: the sender's name in the path. headers: names in lower
    case. body: the bytes as sent. deadline: seconds until the answer is due.

    url: the address that the sender called, with the query; some senders sign it. call: the path
    after the source. method: some senders sign it, and some check the address with HEAD."""

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
    """The answer to a webhook. status: of HTTP. reason: a stable code, empty on success. accepted,
    quarantined, withheld, ignored: counts of events; the persons of withheld events are suppressed
    or refused consent, and the plan excludes ignored events. retry_after: seconds."""

    status: int
    reason: str = ""
    detail: str = ""
    accepted: int = 0
    quarantined: int = 0
    withheld: int = 0
    ignored: int = 0
    retry_after: int | None = None
    reply: Mapping[str, Any] | None = None
    """A body that the sender expects instead of ours, for example its own challenge."""


def content(request: WebhookRequest) -> bytes:
    """Return the body without its content encoding. Raises RefusedError: 413, 415 or 400."""
    if len(request.body) > BODY_LIMIT:
        raise RefusedError(413, "too_large", f"more than {BODY_LIMIT} bytes")
    match request.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return request.body
        case "gzip" | "x-gzip":
            return _unzipped(request.body)
        case other:
            raise RefusedError(415, "unknown_encoding", f"{other[:50]}: send gzip or no encoding")


def packed(body: bytes) -> tuple[bytes, str | None]:
    """Return the bytes to store of a raw body, and their encoding: 'gzip' or None.

    Bodies above `PACK_ABOVE` bytes are compressed if that makes them smaller. Equal bodies give
    equal bytes. Raises RefusedError (413) if the result exceeds `STORED_LIMIT`."""
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
        raise RefusedError(400, "malformed", "the body must be gzip, as its header says") from error
    if len(data) > BODY_LIMIT:
        raise RefusedError(413, "too_large", f"more than {BODY_LIMIT} bytes unpacked")
    return data
