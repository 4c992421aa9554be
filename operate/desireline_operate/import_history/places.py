"""Rows of a source that has no code of its own: where things are is data, a sender's `message`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from desireline.events import AccountRole
from desireline.plan.tracking_plan import MessagePlaces
from desireline.receive.senders.sender import NOTHING, Reported, mapping, text
from desireline_operate.import_history.rows import TEXT

_ROLES = frozenset({AccountRole.OWNER, AccountRole.MEMBER})


def placed(
    places: MessagePlaces, *, times: Callable[[Any], int | None]
) -> Callable[[Mapping[str, Any]], Reported]:
    """What reports a row. Identifiers are read as text where the file has text. A row without an
    identifier has its content for one."""
    search, who = places.search, places.who

    def report(row: Mapping[str, Any]) -> Reported:
        texts = row.get(TEXT, row)
        name = search.get("account")
        account = _identifier(name(texts)) if name else ""
        role = _found(search, "role", texts)
        return Reported(
            id=_identifier(_found(search, "id", texts)) or _content(texts),
            call=text(_found(search, "call", texts)) or "",
            event=text(_found(search, "event", texts)),
            message=row,
            occurred_at=times(_found(search, "time", row)),
            aliases=[(alias_type, find(texts)) for alias_type, find in who],
            accounts=(
                ((f"group:{account}", AccountRole(role) if role in _ROLES else _MENTION),)
                if account
                else ()
            ),
            properties=mapping(_found(search, "properties", row)),
            person_traits=mapping(_found(search, "person_traits", texts)),
            account_traits=mapping(_found(search, "account_traits", texts)),
            ip=text(_found(search, "ip", texts)),
            user_agent=text(_found(search, "user_agent", texts)),
            consent=mapping(_found(search, "consent", row)),
        )

    return report


_MENTION = AccountRole.MENTION


def _found(search: Mapping[str, Callable[[Any], Any]], name: str, row: Any) -> Any:
    find = search.get(name)
    return None if find is None else find(row)


def _identifier(value: object) -> str:
    """A text or a number as text; else nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)


def _content(row: Mapping[str, Any]) -> str:
    """The same for equal rows, whatever the order of their columns."""
    kept = {name: value for name, value in row.items() if value not in (None, "")} or NOTHING
    written = orjson.dumps(dict(kept), default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(written).hexdigest()
