"""What a sender's module provides."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from desireline.events import AccountRole, AliasType, Scalar
from desireline.receive.request import WebhookRequest

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Reported(NamedTuple):
    """One event in a sender's message, taken apart.

    id: the sender's own, the same at every redelivery. call, event: what the tracking plan looks
    it up by. occurred_at: epoch ms, None if the sender gave no time. aliases and accounts: as they
    stand in the message, strongest first. traits: of the person, of the account.
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


class Sender(Protocol):
    """A sender: its name is the last part of the webhook's path and the name of its secret."""

    name: str

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        """Check the signature on the raw bytes with any of the secrets; now: wall time, ms.

        Raises RefusedError (401, 400)."""
        ...

    def messages(self, payload: Any) -> Iterator[Reported]:
        """The events of a parsed body. Raises RefusedError (400) when it is not of the sender's
        form at all; InvalidEventError is for single events."""
        ...


def equals_any(given: str, expected: Sequence[str]) -> bool:
    """Constant-time comparison with each; all are compared, so that time tells nothing."""
    told = given.encode(errors="replace")
    found = [hmac.compare_digest(told, one.encode()) for one in expected]
    return any(found)


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: senders send null and lists as well."""
    return value if isinstance(value, dict) else NOTHING


def text(value: object) -> str | None:
    """The value if it is a text, else None."""
    return value if isinstance(value, str) else None
