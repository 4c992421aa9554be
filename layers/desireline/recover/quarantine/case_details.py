"""ShowCase: a case with its raw body, its parsed report, and the failing part of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from desireline.contracts import Component
from desireline.errors import InvalidEventError, RefusedError
from desireline.events import RawWebhook
from desireline.plan.tracking_plan import SenderMapping, TrackingPlan
from desireline.ports import KeptBodies
from desireline.receive.mapping.event_mapper import as_received, reports_of
from desireline.receive.request import content
from desireline.receive.senders.sender import Sender, SenderReport
from desireline.rows import CaseRow

BODY_SHOWN = 200_000
"""Characters of a body."""
NEAR = 5
"""Suggestions of similar mappings."""


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """A report as the sender's module parsed it, before the mapping. occurred_at: epoch ms."""

    id: str
    call: str
    event: str | None
    occurred_at: int | None
    aliases: tuple[tuple[str, Any], ...]
    properties: Mapping[str, Any]
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlanLocation:
    """The part of the plan that a report breaks.

    file: the sender's file. mapping, event: the selected mapping and its event, if there is one.
    parameter: the failing parameter. wants: its definition in the plan. got: the report's value.
    near: similar mappings, if none selects the report."""

    file: str
    mapping: Mapping[str, Any] | None = None
    event: str | None = None
    parameter: str | None = None
    wants: Mapping[str, Any] | None = None
    got: Any = None
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseDetails:
    """A case with its context. raw, body: None if the raw body is deleted or never existed. report,
    location: None if no sender can parse the body."""

    case: CaseRow
    raw: RawWebhook | None = None
    body: str | None = None
    report: ParsedReport | None = None
    location: PlanLocation | None = None


class ShowCase:
    """Reads the details of a case. plan: the plan in which to locate the failure."""

    def __init__(
        self, *, bodies: KeptBodies, senders: Mapping[str, Sender], plan: TrackingPlan
    ) -> None:
        self._bodies = bodies
        self._senders = senders
        self._plan = plan

    def __call__(self, case: CaseRow) -> CaseDetails:
        """Read the details of a case. Raises UnavailableError."""
        if case.component != Component.RECEIVE or case.raw is None:
            return CaseDetails(case, body=case.record)
        raw = self._bodies.find({case.raw.id: case.arrived}).get(case.raw.id)
        sender = self._senders.get(case.source)
        if raw is None or sender is None:
            return CaseDetails(case, raw)
        try:
            body = content(as_received(raw)).decode("utf-8", "replace")[:BODY_SHOWN]
            reports = reports_of(sender, raw)
        except RefusedError:
            return CaseDetails(case, raw, _text(raw))
        if case.raw.index >= len(reports):
            return CaseDetails(case, raw, body)
        report = reports[case.raw.index]
        return CaseDetails(case, raw, body, _parsed(report), locate(self._plan, sender, report))


def locate(plan: TrackingPlan, sender: Sender, report: SenderReport) -> PlanLocation:
    """Locate the failure of a report in the plan. A valid report gives only its mapping."""
    name = sender.mapped_as or sender.name
    file = f"senders/{name}.yaml"
    try:
        mapping, planned = plan.find(name, report.call, report.event, report.message)
    except InvalidEventError:
        return PlanLocation(file, near=_near(plan, name, report))
    location = PlanLocation(file, _written(mapping), planned.name)
    try:
        planned.properties(mapping, report.message, report.properties)
    except InvalidEventError as error:
        # The error's detail begins with the parameter's name.
        parameter = error.detail.split(" ")[0]
        paths = dict(mapping.paths)
        got = paths[parameter](report.message) if parameter in paths else None
        if got is None:
            got = report.properties.get(parameter)
        wants = planned.parameters[parameter].model_dump(exclude_defaults=True, mode="json")
        return PlanLocation(file, location.mapping, location.event, parameter, wants, got)
    return location


def _near(plan: TrackingPlan, name: str, report: SenderReport) -> tuple[str, ...]:
    """Suggest mappings for a report that none selects.

    It returns the mappings whose condition failed. Without these it returns similar event names,
    and without mappings of the call it returns similar calls."""
    words = plan.senders.get(name)
    if words is None:
        return ()
    conditional = words.index.get((report.call, report.event), [])
    if conditional:
        return tuple(
            f"{mapping.becomes}, but only where {mapping.where}" for mapping in conditional
        )
    in_call = [mapping for mapping in words.mappings if mapping.call == report.call]
    same_call = {mapping.event: mapping for mapping in in_call}
    names = [event for event in same_call if event]
    similar = get_close_matches(report.event or "", names, NEAR, cutoff=0.5)
    if similar:
        return tuple(f"{event} -> {same_call[event].becomes}" for event in similar)
    if same_call:
        return ()
    calls = sorted({mapping.call for mapping in words.mappings})
    return tuple(get_close_matches(report.call, calls, NEAR, cutoff=0.4))


def _parsed(report: SenderReport) -> ParsedReport:
    return ParsedReport(
        id=report.id,
        call=report.call,
        event=report.event,
        occurred_at=report.occurred_at,
        aliases=tuple((kind.value, value) for kind, value in report.aliases if value),
        properties=report.properties,
        message=report.message,
    )


def _written(mapping: SenderMapping) -> dict[str, Any]:
    """Convert a mapping to the form of its file."""
    return mapping.model_dump(by_alias=True, exclude_defaults=True, mode="json")


def _text(raw: RawWebhook) -> str | None:
    try:
        return as_received(raw).body.decode("utf-8", "replace")[:BODY_SHOWN]
    except RefusedError:
        return None
