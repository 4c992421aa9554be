"""Make reports for senders without code: JMESPath expressions find each part of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from desireline.events import AccountRole
from desireline.plan.tracking_plan import MessagePaths
from desireline.receive.mapping.times import epoch_any
from desireline.receive.senders.sender import SenderReport, as_object, as_text

_ROLES = frozenset({AccountRole.OWNER, AccountRole.MEMBER})
_AS_VALUES = frozenset({"time", "properties", "consent"})
"""The parts whose types matter. All other parts are texts."""


def report_by_paths(
    paths: MessagePaths,
    message: Mapping[str, Any],
    *,
    fallback_id: str = "",
    texts: Mapping[str, Any] | None = None,
    times: Callable[[Any], int | None] = epoch_any,
) -> SenderReport:
    """Make the report of a message. fallback_id: the id, if the message has none.

    texts: the message with the original texts, if an import guessed their types. times: converts a
    time to epoch ms, or None if it is invalid."""
    texts = message if texts is None else texts
    parts = {
        name: search(message if name in _AS_VALUES else texts)
        for name, search in paths.search.items()
    }
    account = identifier(parts.get("account"))
    return SenderReport(
        id=identifier(parts.get("id")) or fallback_id,
        call=as_text(parts.get("call")) or "",
        event=as_text(parts.get("event")),
        message=message,
        occurred_at=times(parts.get("time")),
        aliases=[(alias_type, search(texts)) for alias_type, search in paths.alias_search],
        accounts=((f"group:{account}", _role(as_text(parts.get("role")))),) if account else (),
        properties=as_object(parts.get("properties")),
        person_traits=as_object(parts.get("person_traits")),
        account_traits=as_object(parts.get("account_traits")),
        ip=as_text(parts.get("ip")),
        user_agent=as_text(parts.get("user_agent")),
        consent=as_object(parts.get("consent")),
    )


def identifier(value: object) -> str:
    """Return a text as it is, and an integer as text. Return an empty text for other values."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value)


def _role(name: str | None) -> AccountRole:
    return AccountRole(name) if name in _ROLES else AccountRole.MENTION
