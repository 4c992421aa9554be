"""Read the ids and versions in a dead letter's record, which may be unreadable."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from desireline.contracts import Topic
from desireline.events import CanonicalEvent, ResolvedEvent
from desireline.recover.redrive.dead_letters import DeadLetter

UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The readable contents of a record. id: of the event or the message, None without one. schema,
    plan: the versions that wrote the record. event: the event in it, if there is a valid one."""

    id: str | None = None
    schema: str = UNKNOWN
    plan: str = UNKNOWN
    event: CanonicalEvent | None = None


def contents(letter: DeadLetter) -> Contents:
    """Read the contents of a dead letter. Unreadable parts are missing in the result."""
    if letter.streamed:
        return Contents(id=str(letter.record.get("eventID", "")) or None)
    if letter.value is None:
        return Contents()
    try:
        message = orjson.loads(letter.value)
    except orjson.JSONDecodeError:
        return Contents()
    if not isinstance(message, dict):
        return Contents()
    inner = message.get("event") if letter.topic == Topic.EVENTS_RESOLVED else message
    inner = inner if isinstance(inner, dict) else message
    return Contents(
        id=_text(inner.get("event_id")) or _text(inner.get("id")),
        schema=_text(inner.get("schema_version")) or UNKNOWN,
        plan=_text(inner.get("plan_version")) or UNKNOWN,
        event=_event(letter),
    )


def _event(letter: DeadLetter) -> CanonicalEvent | None:
    value = letter.value or b""
    try:
        if letter.topic == Topic.EVENTS_RECEIVED:
            return CanonicalEvent.decode(value)
        if letter.topic == Topic.EVENTS_RESOLVED:
            return ResolvedEvent.decode(value).event
    except ValidationError:
        return None
    return None


def _text(value: object) -> str | None:
    return str(value)[:200] if isinstance(value, str | int) and value != "" else None
