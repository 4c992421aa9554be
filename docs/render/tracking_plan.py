"""Render docs/tracking_plan.md from the plan's YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from desireline.plan.tracking_plan import (
    Parameter,
    PlannedEvent,
    SenderWords,
    TrackingPlan,
    load_plan,
)
from desireline_operate.plan.describe import allowed, marks, source_call
from docs.render.markdown import table


def tracking_plan_page() -> str:
    """Render each event with its parameters and its sources, one section per category, and then
    each sender's mappings."""
    plan = load_plan()
    verified = ", ".join(sorted(plan.verified_email))
    parts = [
        "# Tracking plan",
        f"Version {plan.version}, {len(plan.events)} events from {len(plan.senders)} senders. "
        "Rendered from `tracking_plan/` by `make docs`, together with the "
        "[JSON Schema](tracking_plan.schema.json) of the events and the names in the code "
        "(`desireline.plan.event_names`).",
        f"An email address identifies a person only if it comes from: {verified}. From other "
        "senders it is a trait.",
        "[Changing the plan](changing_the_plan.md) describes how to change it, and the checks.",
        "## Conversions and high intent",
        table(
            ("", "events"),
            (
                ("macro conversions", _linked(plan, lambda event: event.conversion == "macro")),
                ("micro conversions", _linked(plan, lambda event: event.conversion == "micro")),
                ("high intent", _linked(plan, lambda event: event.high_intent)),
                (
                    "makes its person the account's owner",
                    _linked(plan, lambda event: event.owns_account),
                ),
            ),
        ),
    ]
    for category in dict.fromkeys(event.category for event in plan.events.values()):
        parts.append(f"## {category.replace('_', ' ').capitalize()}")
        of_it = (event for event in plan.events.values() if event.category == category)
        parts += [_event(plan, event) for event in of_it]
    parts.append("## Mappings by sender")
    parts += [_sender(content) for content in plan.senders.values()]
    return "\n\n".join(parts)


def _linked(plan: TrackingPlan, chosen: Callable[[PlannedEvent], bool]) -> str:
    names = (event.name for event in plan.events.values() if chosen(event))
    return ", ".join(f"[{name}](#{name})" for name in names)


def _event(plan: TrackingPlan, event: PlannedEvent) -> str:
    text = f"### {event.name}\n\n{event.description}"
    if event_marks := marks(event):
        text += f" *{', '.join(event_marks).capitalize()}.*"
    if event.parameters:
        rows = ((f"`{name}`", *_parameter(it)) for name, it in event.parameters.items())
        text += "\n\n" + table(("parameter", "type", "unit", "allowed", "required", "summed"), rows)
    senders = "; ".join(source_call(*mapping) for mapping in plan.mappings_to(event.name))
    return f"{text}\n\nFrom {senders or 'no sender yet'}."


def _parameter(parameter: Parameter) -> tuple[str, ...]:
    marks = (parameter.required, parameter.sum)
    required, summed = ("yes" if mark else "" for mark in marks)
    return parameter.type, parameter.unit or "", allowed(parameter), required, summed


def _sender(content: SenderWords) -> str:
    rows = (
        (
            f"`{mapping.call}`",
            mapping.event or "",
            f"`{' '.join(mapping.where.split())}`" if mapping.where else "",
            f"[{mapping.becomes}](#{mapping.becomes})",
            _paths(mapping.properties.items()),
        )
        for mapping in content.mappings
    )
    header = ("call", "event", "where", "becomes", "parameters from elsewhere")
    text = f"### From {content.sender}\n\n{table(header, rows)}"
    if content.ignored:
        ignored = (
            (
                f"`{entry.call}`",
                entry.event or "",
                f"`{' '.join(entry.where.split())}`" if entry.where else "",
                entry.why,
            )
            for entry in content.ignored
        )
        text += "\n\nIgnored reports:\n\n"
        text += table(("call", "event", "where", "why"), ignored)
    return text


def _paths(properties: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"`{name}` from `{path}`" for name, path in properties)
