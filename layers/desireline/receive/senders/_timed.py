"""What signatures over a time and the body have in common.

Several senders differ only in header names, separators and encodings. None of their own libraries
is used: each is either far larger than these lines, reads a clock of its own, so that no test can
hold it to an age, or raises something else for a header that is no signature, which would become
a 5xx. What is compared is compared by `hmac.compare_digest`.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import Sender, equals_any, refuse_unless_fresh

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


class TimedFields(Sender):
    """One header with a time and a signature, or several while a secret rotates: `t=…,v1=…`.

    Signed is the time, a joint and the body. in_header: in lower case. of_time, of_signature: the
    fields' names. between: what separates fields. joint: what stands between time and body."""

    in_header: ClassVar[str]
    of_time: ClassVar[str] = "t"
    of_signature: ClassVar[str] = "v1"
    between: ClassVar[str] = ","
    joint: ClassVar[bytes] = b"."

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        parts = fields(header(request.headers, self.in_header), self.between)
        stamp = next((value for name, value in parts if name == self.of_time), "")
        at = signed_at(stamp)
        given = [value for name, value in parts if name == self.of_signature]
        refuse_unless_signed(
            self.in_header, given, [self._signature(one, stamp, body) for one in secrets]
        )
        refuse_unless_fresh(at, now, oldest=self.oldest)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now // 1000)
        signature = self._signature(secret, stamp, request.body)
        told = f"{self.of_time}={stamp}{self.between}{self.of_signature}={signature}"
        return {self.in_header: told}

    def _signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        return hex_hmac(secret, stamp.encode(), self.joint, body)


class TimedHeaders(Sender):
    """A header with the time, another with the signature.

    signature_in, time_in: in lower case."""

    signature_in: ClassVar[str]
    time_in: ClassVar[str]

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        given = header(request.headers, self.signature_in)
        stamp = header(request.headers, self.time_in)
        at = signed_at(stamp)
        refuse_unless_signed(
            self.signature_in, [given], [self.signature(one, stamp, body) for one in secrets]
        )
        refuse_unless_fresh(at, now, oldest=self.oldest)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now // 1000)
        return {
            self.time_in: stamp,
            self.signature_in: self.signature(secret, stamp, request.body),
        }

    @abstractmethod
    def signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        """What the header holds; stamp: seconds since the epoch, as the other one says them."""
