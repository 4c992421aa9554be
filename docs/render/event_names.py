"""Render the plan's event names as Python: desireline/plan/event_names.py.

Code that uses a member of the list cannot misspell an event. If an event leaves the plan, a type
checker finds its uses.
"""

from __future__ import annotations

from desireline.plan.tracking_plan import load_plan


def event_names() -> str:
    """Render the module with the list of names."""
    members = "\n".join(f'    {name.upper()} = "{name}"' for name in load_plan().events)
    return f'''\
"""The events of the tracking plan. Rendered from `tracking_plan/` by `make docs`: do not edit."""

from __future__ import annotations

from enum import StrEnum


class EventName(StrEnum):
    """Every event that can arrive."""

{members}'''
