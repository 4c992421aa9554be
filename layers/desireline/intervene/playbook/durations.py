"""Read and write durations in playbooks: '90s', '5m', '4h', '14d'."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_LEAST = {"d": 3 * 86_400_000}


def parse_duration(text: object) -> int:
    """Convert '90s', '5m', '4h' or '14d' to milliseconds. Raises ValueError for other values."""
    match = re.fullmatch(r"(\d+)([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"write a duration as a number and one of s, m, h, d, for example 4h: {text}"
        )
    return int(match[1]) * _UNITS[match[2]]


def format_duration(milliseconds: int) -> str:
    """Write milliseconds as `parse_duration` reads them. Less than three days are in hours."""
    for unit, size in _UNITS.items():
        if milliseconds % size == 0 and milliseconds >= _LEAST.get(unit, size):
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds // 1000}s"


Duration = Annotated[
    int, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")
]
"""A field in milliseconds, written as text in YAML."""
