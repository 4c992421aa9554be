"""Render docs/tracking_plan.schema.json: the properties of each event as JSON Schema.

It describes canonical events as in the topics and the archive, as far as the plan defines them.
Facts that JSON Schema cannot express are under `x-…`.
"""

from __future__ import annotations

import json
from typing import Any

from desireline.plan.tracking_plan import LARGEST, TEXT_LIMIT, Parameter, PlannedEvent, load_plan


def tracking_plan_schema() -> str:
    """Render the schema as JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """Build one schema for all events: `name` selects the definition."""
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
    properties = {name: _parameter(parameter) for name, parameter in event.parameters.items()}
    required = [name for name, parameter in event.parameters.items() if parameter.required]
    marks = {
        "x-conversion": event.conversion,
        "x-high-intent": event.high_intent or None,
        "x-owns-account": event.owns_account or None,
    }
    return {
        "description": event.description,
        **_without_none(marks),
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


def _parameter(parameter: Parameter) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    match parameter.type:
        case "integer" | "number":
            limits = {
                "minimum": -LARGEST if parameter.minimum is None else parameter.minimum,
                "maximum": LARGEST if parameter.maximum is None else parameter.maximum,
            }
        case "string" if parameter.values is None:
            limits = {"maxLength": TEXT_LIMIT}
        case "string":
            limits = {"enum": list(parameter.values or ())}
    marks = _without_none({"x-unit": parameter.unit, "x-summed": parameter.sum or None})
    return {"type": parameter.type, **limits, **marks}


def _without_none(marks: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in marks.items() if value is not None}
