"""docs/tracking_plan.md, rendered from the plan's YAML."""

from __future__ import annotations

from desireline.tracking_plan import (
    Parameter,
    PlannedEvent,
    SenderMapping,
    TrackingPlan,
    load_plan,
)
from desireline_local.markdown import table


def tracking_plan_page() -> str:
    """Every event with its parameters and where it comes from, one section a category."""
    plan = load_plan()
    verified = ", ".join(sorted(plan.verified_email))
    parts = [
        "# Tracking plan",
        f"Version {plan.version}, {len(plan.events)} events. Rendered from `tracking_plan/` by "
        "`make docs`.",
        f"An email address identifies a person only if it comes from: {verified}. From other "
        "sources it is a trait.",
    ]
    categories = dict.fromkeys(event.category for event in plan.events.values())
    for category in categories:
        parts.append(f"## {category.replace('_', ' ').capitalize()}")
        parts += [
            _event(plan, event) for event in plan.events.values() if event.category == category
        ]
    return "\n\n".join(parts)


def _event(plan: TrackingPlan, event: PlannedEvent) -> str:
    marks = [
        *([f"{event.conversion} conversion"] if event.conversion else []),
        *(["high intent"] if event.high_intent else []),
        *(["who does it owns the account"] if event.owns_account else []),
    ]
    said = f"### {event.name}\n\n{event.description}"
    if marks:
        said += f" *{', '.join(marks).capitalize()}.*"
    if event.parameters:
        rows = ((f"`{name}`", *_parameter(one)) for name, one in event.parameters.items())
        said += "\n\n" + table(("parameter", "type", "unit", "allowed", "required", "summed"), rows)
    senders = "; ".join(_source(*one) for one in plan.mappings_to(event.name))
    return f"{said}\n\nFrom {senders}."


def _parameter(one: Parameter) -> tuple[str, ...]:
    allowed = ", ".join(one.values or ())
    if one.minimum is not None or one.maximum is not None:
        low = "" if one.minimum is None else f"{one.minimum:g}"
        high = "" if one.maximum is None else f"{one.maximum:g}"
        allowed = f"{low} to {high}" if high else f"{low} and more"
    return (
        one.type,
        one.unit or "",
        allowed,
        "yes" if one.required else "",
        "yes" if one.sum else "",
    )


def _source(sender: str, mapping: SenderMapping) -> str:
    name = f" “{mapping.event}”" if mapping.event else ""
    where = f" where `{mapping.where}`" if mapping.where else ""
    return f"{sender} `{mapping.call}`{name}{where}"
