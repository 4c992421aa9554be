"""Show: a case with its raw body, what the mapping saw of it, and where in the plan it broke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from desireline.errors import InvalidEventError, RefusedError
from desireline.events import RawWebhook
from desireline.plan.tracking_plan import SenderMapping, TrackingPlan
from desireline.ports import KeptBodies
from desireline.receive.mapping.event_mapper import STAGE, as_received, reports_of
from desireline.receive.request import content
from desireline.receive.senders.sender import Sender, SenderReport
from desireline.rows import CaseRow

BODY_SHOWN = 200_000
"""Characters."""
NEAR = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as the sender's module took it apart, before the plan."""

    id: str
    call: str
    event: str | None
    occurred_at: int | None
    aliases: tuple[tuple[str, Any], ...]
    properties: Mapping[str, Any]
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the plan it broke. mapping: the one that took it, if one did; its file. parameter,
    wants, got: of the parameter that broke. near: what comes closest, where no mapping took it."""

    file: str
    mapping: Mapping[str, Any] | None = None
    event: str | None = None
    parameter: str | None = None
    wants: Mapping[str, Any] | None = None
    got: Any = None
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A case. raw, body: None where the raw body is gone, or there never was one; seen, place: None
    where no sender can take the body apart."""

    case: CaseRow
    raw: RawWebhook | None = None
    body: str | None = None
    seen: Seen | None = None
    place: Place | None = None


class ShowCase:
    """plan: the one to look for the place in."""

    def __init__(
        self, *, bodies: KeptBodies, senders: Mapping[str, Sender], plan: TrackingPlan
    ) -> None:
        self._bodies = bodies
        self._senders = senders
        self._plan = plan

    def __call__(self, case: CaseRow) -> Shown:
        """Raises UnavailableError."""
        if case.stage != STAGE or case.raw is None:
            return Shown(case, body=case.record)
        raw = self._bodies.find({case.raw.id: case.arrived}).get(case.raw.id)
        sender = self._senders.get(case.source)
        if raw is None or sender is None:
            return Shown(case, raw)
        try:
            body = content(as_received(raw)).decode("utf-8", "replace")[:BODY_SHOWN]
            reports = reports_of(sender, raw)
        except RefusedError:
            return Shown(case, raw, _text(raw))
        if case.raw.index >= len(reports):
            return Shown(case, raw, body)
        reported = reports[case.raw.index]
        return Shown(case, raw, body, _seen(reported), place(self._plan, sender, reported))


def place(plan: TrackingPlan, sender: Sender, reported: SenderReport) -> Place:
    """Where in the plan an event breaks; only the mapping, where it does not."""
    name = sender.mapped_as or sender.name
    file = f"senders/{name}.yaml"
    try:
        mapping, planned = plan.find(name, reported.call, reported.event, reported.message)
    except InvalidEventError:
        return Place(file, near=_near(plan, name, reported))
    found = Place(file, _written(mapping), planned.name)
    try:
        planned.properties(mapping, reported.message, reported.properties)
    except InvalidEventError as error:
        parameter = error.detail.split(" ")[0]
        paths = dict(mapping.paths)
        got = paths[parameter](reported.message) if parameter in paths else None
        if got is None:
            got = reported.properties.get(parameter)
        wants = planned.parameters[parameter].model_dump(exclude_defaults=True, mode="json")
        return Place(file, found.mapping, found.event, parameter, wants, got)
    return found


def _near(plan: TrackingPlan, name: str, reported: SenderReport) -> tuple[str, ...]:
    """Mappings whose condition does not hold; else names that look alike; else the calls there
    are."""
    words = plan.senders.get(name)
    if words is None:
        return ()
    held_off = words.index.get((reported.call, reported.event), [])
    if held_off:
        return tuple(f"{one.becomes}, but only where {one.where}" for one in held_off)
    same_call = {one.event: one for one in words.mappings if one.call == reported.call}
    names = [event for event in same_call if event]
    alike = get_close_matches(reported.event or "", names, NEAR, cutoff=0.5)
    if alike:
        return tuple(f"{event} -> {same_call[event].becomes}" for event in alike)
    if same_call:
        return ()
    calls = sorted({one.call for one in words.mappings})
    return tuple(get_close_matches(reported.call, calls, NEAR, cutoff=0.4))


def _seen(reported: SenderReport) -> Seen:
    return Seen(
        id=reported.id,
        call=reported.call,
        event=reported.event,
        occurred_at=reported.occurred_at,
        aliases=tuple((kind.value, value) for kind, value in reported.aliases if value),
        properties=reported.properties,
        message=reported.message,
    )


def _written(mapping: SenderMapping) -> dict[str, Any]:
    """As it stands in the file."""
    return mapping.model_dump(by_alias=True, exclude_defaults=True, mode="json")


def _text(raw: RawWebhook) -> str | None:
    try:
        return as_received(raw).body.decode("utf-8", "replace")[:BODY_SHOWN]
    except RefusedError:
        return None
