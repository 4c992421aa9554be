"""The interface of senders. A sender's module defines SENDER, an instance of a subclass."""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

import orjson

from desireline.errors import RefusedError
from desireline.events import AccountRole, AliasType, Scalar
from desireline.receive.request import Answer, WebhookRequest

WITHHELD: Final = {"withheld": True}
"""Replaces a withheld message in a stored body, so that the other messages keep their positions."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

TOLERANCE_MS = 300_000
"""The most that a signed time may be in the past or in the future."""


class SenderReport(NamedTuple):
    """One event of a sender's message, parsed but not yet mapped.

    id: the sender's id, equal at every delivery. call, event: the keys by which the tracking plan
    selects a mapping. occurred_at: epoch ms, None if the sender gave no time. aliases, accounts: as
    in the message, the strongest first. deletes: the sender had to delete the person's data by law.
    """

    id: str
    call: str
    event: str | None
    message: Mapping[str, Any]
    occurred_at: int | None
    aliases: Sequence[tuple[AliasType, object]]
    accounts: Sequence[tuple[str, AccountRole]] = ()
    properties: Mapping[str, Any] = NOTHING
    person_traits: Mapping[str, Any] = NOTHING
    account_traits: Mapping[str, Any] = NOTHING
    ip: str | None = None
    user_agent: str | None = None
    context: Mapping[str, Scalar] = NOTHING
    consent: Mapping[str, bool] = NOTHING
    deletes: bool = False


class Sender(ABC):
    """Verifies and parses the webhooks of one sender.

    name: the last part of the webhook's path, and the name of its secret.
    secret: a description of the secret, for the person who stores it.
    mapped_as: the sender whose mappings apply, if not this one.
    deadline: the seconds that the sender waits for an answer.
    kept_headers: the headers to store with the raw body, in lower case. None may hold a secret.
    signs_body, signs_time: the parts that the signature covers. Without a signed time, only
    deduplication stops a replay.
    oldest: the greatest age of a signed time, in ms.
    keeps_unreadable: receive quarantines a verified body that it cannot parse, and answers 200. It
    suits senders that would repeat the body unchanged, or stop sending after too many errors.
    gives_properties: reports may contain properties under the plan's names. If not, only mappings
    fill parameters.
    busy: the status after which the sender retries later: 429, or 503 if it gives up on a 429.
    gives_up_on: the statuses after which the sender never retries. Receive answers `busy` instead,
    because a retry may succeed, for example after a new secret is stored here.
    """

    name: str
    secret: str
    mapped_as: str = ""
    deadline: float = 5.0
    kept_headers: ClassVar[tuple[str, ...]] = ()
    signs_body: ClassVar[bool] = True
    signs_time: ClassVar[bool] = True
    keeps_unreadable: ClassVar[bool] = False
    gives_properties: ClassVar[bool] = True
    oldest: ClassVar[int] = TOLERANCE_MS
    busy: ClassVar[int] = 429
    gives_up_on: ClassVar[frozenset[int]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.mapped_as = cls.mapped_as or cls.__dict__.get("name", "")

    @abstractmethod
    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> str | None:
        """Check the signature of the raw bytes with each secret. now: wall time, epoch ms.

        Returns the key's name if the sender has several keys. Raises RefusedError (401, 400)."""

    def parse(self, body: bytes) -> Any:
        """Parse a body as JSON. Raises RefusedError (400)."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, "malformed", "the body must be JSON") from error

    @abstractmethod
    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        """Make the reports of a parsed body. Raises RefusedError (400) if the body does not have
        the sender's form. An invalid event in a valid body must not raise."""

    def without(self, payload: Any, positions: Container[int], count: int) -> Any:
        """Replace the messages at these positions by `WITHHELD`. count: the number of messages.

        Returns None if the payload is not a list of messages. The body is then not stored."""
        if isinstance(payload, list) and len(payload) == count:
            return [WITHHELD if at in positions else item for at, item in enumerate(payload)]
        return None

    def stored_body(self, request: WebhookRequest, body: bytes) -> bytes:
        """Return the part of the unpacked body to store: all of it, unless it holds a secret."""
        return body

    def reply(self, payload: Any) -> Mapping[str, Any] | None:
        """Return the body that the sender expects, such as its challenge; None for our own."""
        return None

    def adapt_answer(self, answer: Answer, request: WebhookRequest) -> Answer:
        """Adapt a 4xx or 503 answer to the sender. Replace a status in `gives_up_on` by `busy`.

        The request may be forged."""
        return replace(answer, status=self.busy) if answer.status in self.gives_up_on else answer

    @abstractmethod
    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """Return the headers that the sender adds to sign this request. now: wall time, epoch ms.

        Tests, the demo and `desireline send` call it."""


def equals_any(value: str, expected: Sequence[str]) -> bool:
    """Tell whether a value equals an expected one. It compares all of them in constant time, so
    that the duration reveals nothing."""
    candidate = value.encode(errors="replace")
    matches = [hmac.compare_digest(candidate, item.encode()) for item in expected]
    return any(matches)


def refuse_unless_fresh(signed_at: int, now: int, *, oldest: int = TOLERANCE_MS) -> None:
    """Check the age of a signature. signed_at, now: epoch ms. oldest: the greatest age, in ms.

    Raises RefusedError (400, stale) for a time that is too old or too far ahead."""
    if not now - oldest <= signed_at <= now + TOLERANCE_MS:
        raise RefusedError(
            400, "stale", "the signature is too old or too far ahead: check the clock"
        )


def content_id(message: Mapping[str, Any]) -> str:
    """Return an id for a message without one: a hash of its content."""
    try:
        written = orjson.dumps(dict(message), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # orjson reads deeper nesting than it writes. Such a message must not fail its batch, and
        # the values outside of objects and lists suffice to identify it.
        flat = {
            name: value for name, value in message.items() if not isinstance(value, dict | list)
        }
        written = orjson.dumps(flat, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()


def as_object(value: object) -> Mapping[str, Any]:
    """Return an object as it is, and an empty one for other values, such as null or a list."""
    return value if isinstance(value, dict) else NOTHING


def as_text(value: object) -> str | None:
    """Return a text as it is, and None for other values."""
    return value if isinstance(value, str) else None
