"""What a sender's module provides: an instance of a subclass of `Sender`, named SENDER."""

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
"""What stands in a raw body in the place of a message that was not to be kept."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

TOLERANCE_MS = 300_000
"""How old, and how far ahead, a signed time may be."""


class SenderReport(NamedTuple):
    """One event in a sender's message, taken apart.

    id: the sender's own, the same at every redelivery. call, event: what the tracking plan looks
    it up by. occurred_at: epoch ms, None if the sender gave no time. aliases and accounts: as they
    stand in the message, strongest first. traits: of the person, of the account. deletes: it says
    that the person's data had to be deleted by law.
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
    """A sender.

    name: the last part of the webhook's path, and the name of its secret. secret: what the secret
    is, for whoever has to fetch it. mapped_as: whose mappings in the tracking plan it uses, if not
    its own. deadline: seconds that it waits for an answer. kept_headers: in lower case, what of
    its headers the raw topic keeps; never one that holds a secret. signs_body, signs_time: what its
    signature covers; without a time, deduplication is what a replay meets. oldest: how old a signed
    time may be, ms. keeps_unreadable: a verified body that is not of its form is set aside and
    answered with 200, for a sender that would not repair it, but count our refusals until it sends
    no more. gives_properties: whether its reports may carry properties under our names; if not,
    only mappings fill parameters. busy: the status that makes it come again later; 503 for one that
    gives up on a 429. gives_up_on: statuses after which it does not come again, although the same
    request might be taken then, as when its new secret has not been stored here yet.
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
        """Check the signature on the raw bytes with any of the secrets; now: wall time, ms.

        Returns the name of the key, where a sender has several. Raises RefusedError (401, 400)."""

    def parse(self, body: bytes) -> Any:
        """What the body says. Raises RefusedError (400)."""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, "malformed", "not JSON") from error

    @abstractmethod
    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        """The events of a parsed body. Raises RefusedError (400) when it is not of the sender's
        form at all; InvalidEventError is for single events."""

    def without(self, payload: Any, places: Container[int], count: int) -> Any:
        """The payload without the messages in these places, of so many; the others keep theirs.

        None where the messages cannot be told apart so: then nothing of the body is kept."""
        if isinstance(payload, list) and len(payload) == count:
            return [WITHHELD if place in places else one for place, one in enumerate(payload)]
        return None

    def kept(self, request: WebhookRequest, body: bytes) -> bytes:
        """What the raw topic keeps of the unpacked body: all of it, unless it holds a secret."""
        return body

    def reply(self, payload: Any) -> Mapping[str, Any] | None:
        """What the sender has to be answered besides 200: a challenge, an echo."""
        return None

    def told(self, answer: Answer, request: WebhookRequest) -> Answer:
        """What it is answered when its request is not taken: a 4xx or 503 as they are, unless it
        gives up on one of them, or wants to be told in words of its own. The request may be
        forged."""
        return replace(answer, status=self.busy) if answer.status in self.gives_up_on else answer

    @abstractmethod
    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        """The headers that it would send with this request; now: wall time, ms. For whoever plays
        the sender: tests, the demo, `desireline send`."""


def equals_any(given: str, expected: Sequence[str]) -> bool:
    """Constant-time comparison with each; all are compared, so that time tells nothing."""
    told = given.encode(errors="replace")
    found = [hmac.compare_digest(told, one.encode()) for one in expected]
    return any(found)


def refuse_unless_fresh(signed_at: int, now: int, *, oldest: int = TOLERANCE_MS) -> None:
    """All in ms, the first two since the epoch. Raises RefusedError (400, stale) for what is too
    old or too far ahead."""
    if not now - oldest <= signed_at <= now + TOLERANCE_MS:
        raise RefusedError(400, "stale", "signed too long ago, or too far ahead")


def content_id(message: Mapping[str, Any]) -> str:
    """The id of a message that has none: equal content is the same event."""
    try:
        written = orjson.dumps(dict(message), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # What orjson reads it does not always write: its nesting limits differ. What lies flat
        # tells such a message apart, which must not cost its batch.
        flat = {name: one for name, one in message.items() if not isinstance(one, dict | list)}
        written = orjson.dumps(flat, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()


def as_object(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: senders send null and lists as well."""
    return value if isinstance(value, dict) else NOTHING


def as_text(value: object) -> str | None:
    """The value if it is a text, else None."""
    return value if isinstance(value, str) else None
