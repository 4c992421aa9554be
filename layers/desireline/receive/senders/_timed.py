"""Shared parts of senders that sign a time and the body.

Several senders differ only in header names, separators and encodings. This module replaces their
own libraries. Some of these are far larger. Some read their own clock, so that a test cannot check
an age. Some raise an unexpected error for a malformed header, and the answer would be a 5xx. All
comparisons use `hmac.compare_digest`.
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
    """Return the hex HMAC-SHA256 of the concatenated parts."""
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in signed:
        digest.update(part)
    return digest.hexdigest()


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header. Raises RefusedError (401, unsigned) if the request lacks it."""
    if value := headers.get(name):
        return value
    raise RefusedError(401, "unsigned", f"{name.title()} is missing")


def fields(value: str, separator: str) -> list[tuple[str, str]]:
    """Split 't=1,v1=abc' into ordered pairs. Names repeat while a secret rotates."""
    pairs = (part.strip().partition("=") for part in value.split(separator))
    return [(name, content) for name, _, content in pairs]


def signed_at(stamp: str) -> int:
    """Convert a header's epoch seconds to milliseconds. Raises RefusedError (401, forged)."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _SECONDS_DIGITS):
        raise RefusedError(401, "forged", "the signature's time must be a number of seconds")
    return int(stamp) * 1000


def refuse_unless_signed(name: str, signatures: Sequence[str], expected: Sequence[str]) -> None:
    """Check that a request's signatures include an expected one. name: of the header. expected: one
    for each secret. It compares all pairs in constant time, so that the duration reveals nothing.

    Raises RefusedError (401, forged)."""
    if not any([equals_any(value, expected) for value in signatures]):  # noqa: C419 — compares all
        raise RefusedError(401, "forged", f"{name.title()} does not match")


class TimedFields(Sender):
    """A sender with one header of a time and a signature, `t=…,v1=…`. It has several signatures
    while a secret rotates. The sender signs the time, a joint and the body.

    in_header: the header's name, in lower case. of_time, of_signature: the fields' names. between:
    the separator of fields. joint: the bytes between time and body."""

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
        signatures = [value for name, value in parts if name == self.of_signature]
        expected = [self._signature(secret, stamp, body) for secret in secrets]
        refuse_unless_signed(self.in_header, signatures, expected)
        refuse_unless_fresh(at, now, oldest=self.oldest)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now // 1000)
        signature = self._signature(secret, stamp, request.body)
        value = f"{self.of_time}={stamp}{self.between}{self.of_signature}={signature}"
        return {self.in_header: value}

    def _signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        return hex_hmac(secret, stamp.encode(), self.joint, body)


class TimedHeaders(Sender):
    """A sender with one header for the signature and one for its time.

    signature_in, time_in: the headers' names, in lower case."""

    signature_in: ClassVar[str]
    time_in: ClassVar[str]

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        signature = header(request.headers, self.signature_in)
        stamp = header(request.headers, self.time_in)
        at = signed_at(stamp)
        expected = [self.signature(secret, stamp, body) for secret in secrets]
        refuse_unless_signed(self.signature_in, [signature], expected)
        refuse_unless_fresh(at, now, oldest=self.oldest)

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        stamp = str(now // 1000)
        return {
            self.time_in: stamp,
            self.signature_in: self.signature(secret, stamp, request.body),
        }

    @abstractmethod
    def signature(self, secret: bytes, stamp: str, body: bytes) -> str:
        """Return the signature of a body. stamp: the epoch seconds in the header of the time."""
