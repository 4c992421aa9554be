"""Describe parts of the tracking plan in words, for the command and for the rendered page."""

from __future__ import annotations

from desireline.plan.tracking_plan import Parameter, PlannedEvent, SenderMapping


def allowed(parameter: Parameter) -> str:
    """Describe the parameter's values or range; empty if its type allows any value."""
    if parameter.values is not None:
        return ", ".join(parameter.values)
    match parameter.minimum, parameter.maximum:
        case None, None:
            return ""
        case low, None:
            return f"{low:g} and more"
        case None, high:
            return f"{high:g} and less"
        case low, high:
            return f"{low:g} to {high:g}"


def source_call(sender: str, mapping: SenderMapping) -> str:
    """Describe the sender's call, its name of the event, and the mapping's condition."""
    name = f" “{mapping.event}”" if mapping.event else ""
    where = f" where `{mapping.where}`" if mapping.where else ""
    return f"{sender} `{mapping.call}`{name}{where}"


def marks(event: PlannedEvent) -> list[str]:
    """List the event's marks: conversion, high intent, ownership of the account."""
    return [
        *([f"{event.conversion} conversion"] if event.conversion else []),
        *(["high intent"] if event.high_intent else []),
        *(["makes its person the account's owner"] if event.owns_account else []),
    ]
