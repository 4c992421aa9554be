"""Describe parts of the tracking plan in words, for the command and for the rendered page."""

from __future__ import annotations

from desireline.plan.tracking_plan import Parameter, PlannedEvent, SenderMapping


def allowed(one: Parameter) -> str:
    """Return the parameter's values or range in words; empty if its type allows any value."""
    if one.values is not None:
        return ", ".join(one.values)
    match one.minimum, one.maximum:
        case None, None:
            return ""
        case low, None:
            return f"{low:g} and more"
        case None, high:
            return f"{high:g} and less"
        case low, high:
            return f"{low:g} to {high:g}"


def source_call(sender: str, mapping: SenderMapping) -> str:
    """Return the call and name by which a sender reports the event, and under which condition."""
    name = f" “{mapping.event}”" if mapping.event else ""
    where = f" where `{mapping.where}`" if mapping.where else ""
    return f"{sender} `{mapping.call}`{name}{where}"


def marks(event: PlannedEvent) -> list[str]:
    """Return the event's marks in words: conversion, high intent, ownership of the account."""
    return [
        *([f"{event.conversion} conversion"] if event.conversion else []),
        *(["high intent"] if event.high_intent else []),
        *(["who does it owns the account"] if event.owns_account else []),
    ]
