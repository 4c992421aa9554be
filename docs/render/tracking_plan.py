"""docs/tracking_plan.md, rendered from the plan's YAML."""

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
    """Every event with its parameters and where it comes from, one section a category; then what
    each sender's words become."""
    plan = load_plan()
    verified = ", ".join(sorted(plan.verified_email))
    parts = [
        "# Tracking plan",
        f"Version {plan.version}, {len(plan.events)} events from {len(plan.senders)} senders. "
        "Rendered from `tracking_plan/` by `make docs`, together with the "
        "[JSON Schema](tracking_plan.schema.json) of the events, and the names that the code uses "
        "(`desireline.plan.event_names`).",
        f"An email address identifies a person only if it comes from: {verified}. From other "
        "senders it is a trait.",
        "[Changing the plan](changing_the_plan.md) says how, and what is checked.",
        "## Conversions and high intent",
        table(
            ("", "events"),
            (
                ("macro conversions", _linked(plan, lambda event: event.conversion == "macro")),
                ("micro conversions", _linked(plan, lambda event: event.conversion == "micro")),
                ("high intent", _linked(plan, lambda event: event.high_intent)),
                ("who does it owns the account", _linked(plan, lambda event: event.owns_account)),
            ),
        ),
    ]
    for category in dict.fromkeys(event.category for event in plan.events.values()):
        parts.append(f"## {category.replace('_', ' ').capitalize()}")
        of_it = (event for event in plan.events.values() if event.category == category)
        parts += [_event(plan, event) for event in of_it]
    parts.append("## Mappings by sender")
    parts += [_sender(words) for words in plan.senders.values()]
    return "\n\n".join(parts)


def _linked(plan: TrackingPlan, chosen: Callable[[PlannedEvent], bool]) -> str:
    names = (event.name for event in plan.events.values() if chosen(event))
    return ", ".join(f"[{name}](#{name})" for name in names)


def _event(plan: TrackingPlan, event: PlannedEvent) -> str:
    said = f"### {event.name}\n\n{event.description}"
    if found := marks(event):
        said += f" *{', '.join(found).capitalize()}.*"
    if event.parameters:
        rows = ((f"`{name}`", *_parameter(one)) for name, one in event.parameters.items())
        said += "\n\n" + table(("parameter", "type", "unit", "allowed", "required", "summed"), rows)
    senders = "; ".join(source_call(*one) for one in plan.mappings_to(event.name))
    return f"{said}\n\nFrom {senders or 'no sender yet'}."


def _parameter(one: Parameter) -> tuple[str, ...]:
    required, summed = ("yes" if mark else "" for mark in (one.required, one.sum))
    return one.type, one.unit or "", allowed(one), required, summed


def _sender(words: SenderWords) -> str:
    rows = (
        (
            f"`{mapping.call}`",
            mapping.event or "",
            f"`{' '.join(mapping.where.split())}`" if mapping.where else "",
            f"[{mapping.becomes}](#{mapping.becomes})",
            _paths(mapping.properties.items()),
        )
        for mapping in words.mappings
    )
    header = ("call", "event", "where", "becomes", "parameters from elsewhere")
    said = f"### From {words.sender}\n\n{table(header, rows)}"
    if words.ignored:
        ignored = (
            (
                f"`{one.call}`",
                one.event or "",
                f"`{' '.join(one.where.split())}`" if one.where else "",
                one.why,
            )
            for one in words.ignored
        )
        said += "\n\nNo events, and counted as ignored:\n\n"
        said += table(("call", "event", "where", "why"), ignored)
    return said


def _paths(properties: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"`{name}` from `{path}`" for name, path in properties)
