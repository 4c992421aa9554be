"""Turn rows of Segment's warehouse tables back into Segment calls.
https://segment.com/docs/connections/storage/warehouses/schema/

`tracks` and each event's own table hold track calls; `identifies`, `groups`, `pages` and `screens`
hold the calls of that name. A row does not name its table, so the columns decide. `id` is the
call's messageId: an event that also came by webhook counts once. Nested names are flat, as in
`context_page_path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from desireline_operate.import_history.rows import TEXT

_COMMON = frozenset(
    {
        *("id", "anonymous_id", "user_id", "group_id", "event", "event_text", "name", "channel"),
        *("received_at", "sent_at", "timestamp", "original_timestamp", "uuid_ts", "loaded_at"),
        *("type", TEXT),
    }
)
_TABLES = {"identifies": "identify", "groups": "group", "pages": "page", "screens": "screen"}


def call(row: Mapping[str, Any], *, table: str = "") -> dict[str, Any]:
    """Return a row's call. table: the name of the file, which may be a table's name; if it is not,
    the columns decide."""
    texts: Mapping[str, Any] = row.get(TEXT, row)
    kind = _TABLES.get(table) or _kind(row)
    own = {k: v for k, v in row.items() if k not in _COMMON and not k.startswith("context_")}
    context = _context(texts)
    group = texts.get("group_id")
    result: dict[str, Any] = {
        "type": kind,
        "messageId": texts.get("id"),
        "userId": texts.get("user_id"),
        "anonymousId": texts.get("anonymous_id"),
        "timestamp": _time(row.get("timestamp") or row.get("original_timestamp")),
        "originalTimestamp": _time(row.get("received_at")),
        "context": context,
    }
    if kind == "track":
        result["event"] = row.get("event_text") or row.get("event")
    if kind in ("identify", "group"):
        result["traits"] = own
    else:
        result["properties"] = own
    if kind == "group":
        result["groupId"] = group
    elif group:
        context["groupId"] = group
    return result


def _kind(row: Mapping[str, Any]) -> str:
    if "event" in row or "event_text" in row:
        return "track"
    if "group_id" in row:
        return "group"
    if "path" in row or "url" in row or "title" in row:
        return "page"
    return "identify"


def _context(texts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ip": texts.get("context_ip"),
        "userAgent": texts.get("context_user_agent"),
        "locale": texts.get("context_locale"),
        "timezone": texts.get("context_timezone"),
        "groupId": texts.get("context_group_id"),
        "page": {"path": texts.get("context_page_path")},
        "traits": {"email": texts.get("context_traits_email")},
    }


def _time(value: Any) -> Any:
    """Convert a time to ISO 8601: warehouses write '2026-01-05 10:00:00.000 UTC', and Parquet has
    epoch milliseconds."""
    if isinstance(value, str):
        return value.removesuffix(" UTC").strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat()
    return None
