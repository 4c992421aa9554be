"""What signatures over a time and the body have in common.

Several senders differ only in header names, separators and encodings. None of their own libraries
is used: each is either far larger than these lines, reads a clock of its own, so that no test can
hold it to an age, or raises something else for a header that is no signature, which would become
a 5xx. What is compared is compared by `hmac.compare_digest`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from desireline.errors import RefusedError
from desireline.receive.senders.sender import equals_any

_SECONDS_DIGITS = 11


def hex_hmac(secret: bytes, *signed: bytes) -> str:
    """Hex HMAC-SHA256 over the parts, one after the other."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in signed:
        digest.update(part)
    return digest.hexdigest()


def header(headers: Mapping[str, str], name: str) -> str:
    """A header that a signed request has. Raises RefusedError (401, unsigned)."""
    if value := headers.get(name):
        return value
    raise RefusedError(401, "unsigned", f"{name.title()} is missing")


def fields(value: str, separator: str) -> list[tuple[str, str]]:
    """'t=1,v1=abc' as pairs, in order; names may repeat while a secret rotates."""
    pairs = (part.strip().partition("=") for part in value.split(separator))
    return [(name, found) for name, _, found in pairs]


def signed_at(stamp: str) -> int:
    """Seconds since the epoch, as a header has them, in milliseconds. Raises RefusedError (401)."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _SECONDS_DIGITS):
        raise RefusedError(401, "forged", "the signature's time is no number of seconds")
    return int(stamp) * 1000


def refuse_unless_signed(name: str, given: Sequence[str], expected: Sequence[str]) -> None:
    """given: what the request carries; expected: one for each secret. All are compared, so that
    time tells nothing. Raises RefusedError (401, forged)."""
    if not any([equals_any(one, expected) for one in given]):  # noqa: C419 — all are compared
        raise RefusedError(401, "forged", f"{name.title()} does not match")
