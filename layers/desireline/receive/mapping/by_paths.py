"""Events of senders that have no code: where things are in their messages is data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desireline.events import AccountRole
from desireline.plan.tracking_plan import MessagePlaces
from desireline.receive.mapping.times import epoch_any
from desireline.receive.senders.sender import Reported, mapping, text

_ROLES = frozenset({AccountRole.OWNER, AccountRole.MEMBER})


def reported(places: MessagePlaces, message: Mapping[str, Any], fallback: str) -> Reported:
    """A message, taken apart. fallback: its id, if it has none of its own."""
    found = {name: search(message) for name, search in places.search.items()}
    account = identifier(found.get("account"))
    return Reported(
        id=identifier(found.get("id")) or fallback,
        call=text(found.get("call")) or "",
        event=text(found.get("event")),
        message=message,
        occurred_at=epoch_any(found.get("time")),
        aliases=[(alias_type, search(message)) for alias_type, search in places.who],
        accounts=((f"group:{account}", _role(text(found.get("role")))),) if account else (),
        properties=mapping(found.get("properties")),
        person_traits=mapping(found.get("person_traits")),
        account_traits=mapping(found.get("account_traits")),
        ip=text(found.get("ip")),
        user_agent=text(found.get("user_agent")),
        consent=mapping(found.get("consent")),
    )


def identifier(value: object) -> str:
    """A text or a number as text; else nothing."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value)


def _role(given: str | None) -> AccountRole:
    return AccountRole(given) if given in _ROLES else AccountRole.MENTION
