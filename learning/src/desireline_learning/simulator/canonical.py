"""The stream as canonical events: what the receive stage makes of the deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from uuid import UUID, uuid5

from desireline.events import (
    Account,
    AccountRole,
    Alias,
    AliasType,
    CanonicalEvent,
    RawPointer,
)
from desireline_learning.simulator.company import Company
from desireline_learning.simulator.touches import Call, Touch

_SPACE = UUID("3f6f0c3e-6a44-4a52-9d0a-5a86f1f2c1d7")


def canonical(company: Company) -> Iterator[tuple[CanonicalEvent, str]]:
    """Each event once, by time, with the hint whose journey it is."""
    for touch in company.touches:
        yield _event(touch), touch.person.hint


def _event(touch: Touch) -> CanonicalEvent:
    person, account = touch.person, touch.account
    aliases = []
    if touch.known or touch.call is Call.STRIPE:
        aliases.append(_alias(AliasType.USER, person.user or ""))
    if touch.call is Call.STRIPE and account:
        aliases.append(_alias(AliasType.BILLING, account.customer))
    if touch.device:
        aliases.append(_alias(AliasType.ANONYMOUS, touch.device))
    accounts = (Account(key=f"group:{account.group}", role=AccountRole.OWNER),) if account else ()
    return CanonicalEvent(
        event_id=str(uuid5(_SPACE, touch.id)),
        name=touch.name or touch.call.value,
        category="product",
        source="stripe" if touch.call is Call.STRIPE else "segment",
        occurred_at=touch.at,
        received_at=touch.at,
        aliases=tuple(aliases),
        accounts=accounts,
        raw=RawPointer(id=touch.id),
    )


@lru_cache(maxsize=65_536)
def _alias(kind: AliasType, value: str) -> Alias:
    return Alias(type=kind, value=value, fragment=str(uuid5(_SPACE, f"{kind}|{value}")))
