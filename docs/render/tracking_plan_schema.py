"""docs/tracking_plan.schema.json: what the properties of each event may be, as JSON Schema.

It describes canonical events as topics and archive hold them; only what the plan knows of them.
What JSON Schema has no word for stands under `x-…`.
"""

from __future__ import annotations

import json
from typing import Any

from desireline.plan.tracking_plan import LARGEST, TEXT_LIMIT, Parameter, PlannedEvent, load_plan


def tracking_plan_schema() -> str:
    """The schema, written."""
    return json.dumps(schema(), indent=1, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """One schema of all events: `name` decides which definition holds."""
    plan = load_plan()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:desireline:tracking-plan:{plan.version}",
        "title": f"Events of tracking plan {plan.version}",
        "type": "object",
        "required": ["name", "category", "properties"],
        "properties": {"name": {"enum": list(plan.events)}},
        "allOf": [
            {
                "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in plan.events
        ],
        "$defs": {name: _event(event) for name, event in plan.events.items()},
    }


def _event(event: PlannedEvent) -> dict[str, Any]:
    properties = {name: _parameter(one) for name, one in event.parameters.items()}
    required = [name for name, one in event.parameters.items() if one.required]
    marks = {
        "x-conversion": event.conversion,
        "x-high-intent": event.high_intent or None,
        "x-owns-account": event.owns_account or None,
    }
    return {
        "description": event.description,
        **_given(marks),
        "properties": {
            "category": {"const": event.category},
            "properties": {
                "type": "object",
                "properties": properties,
                **({"required": required} if required else {}),
                "additionalProperties": False,
            },
        },
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    match one.type:
        case "integer" | "number":
            limits = {
                "minimum": -LARGEST if one.minimum is None else one.minimum,
                "maximum": LARGEST if one.maximum is None else one.maximum,
            }
        case "string" if one.values is None:
            limits = {"maxLength": TEXT_LIMIT}
        case "string":
            limits = {"enum": list(one.values or ())}
    marks = _given({"x-unit": one.unit, "x-summed": one.sum or None})
    return {"type": one.type, **limits, **marks}


def _given(marks: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in marks.items() if value is not None}
