"""The plan as Python: desireline/event_names.py and desireline/event_properties.py.

Code that names an event by a member of the list cannot misspell it, and a type checker finds what
an event taken out of the plan breaks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from desireline.plan.tracking_plan import Parameter, PlannedEvent, load_plan
from desireline_local.plan.page import allowed

LINE = 100
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def event_names() -> str:
    """The module with the list of names."""
    members = "\n".join(f'    {name.upper()} = "{name}"' for name in load_plan().events)
    return f'''\
"""The events of the tracking plan. Rendered from `tracking_plan/` by `make docs`: do not edit."""

from __future__ import annotations

from enum import StrEnum


class EventName(StrEnum):
    """Every event that can arrive."""

{members}'''


def event_properties() -> str:
    """The module with a TypedDict of every event's properties."""
    classes = "\n\n\n".join(map(_class, load_plan().events.values()))
    return f'''\
"""What each event of the tracking plan carries, for type checkers. Units and ranges stand beside.

Rendered from `tracking_plan/` by `make docs`: do not edit.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


{classes}'''


def class_name(event: str) -> str:
    """The event's name as that of its class."""
    return "".join(part.capitalize() for part in event.split("_"))


def _class(event: PlannedEvent) -> str:
    lines = textwrap.wrap(f'"""{event.description}"""', LINE - 4)
    if len(lines) > 1:
        *above, last = textwrap.wrap(f'"""{event.description}', LINE - 4)
        lines = [*above, last, '"""']
    if event.parameters:
        lines += ["", *_fields(event)]
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f"class {class_name(event.name)}(TypedDict, total=False):\n{body}"


def _fields(event: PlannedEvent) -> Iterator[str]:
    for name, one in event.parameters.items():
        kind = f"Required[{_type(one)}]" if one.required else _type(one)
        range_ = "" if one.values else allowed(one)
        said = ", ".join(part for part in (one.unit, range_) if part)
        yield f"{name}: {kind}" + (f"  # {said}" if said else "")


def _type(one: Parameter) -> str:
    if one.values is None:
        return _TYPES[one.type]
    values = ", ".join(f'"{value}"' for value in one.values)
    return f"Literal[{values}]"
