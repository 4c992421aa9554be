"""Parse the times of command options, and format times for output."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from desireline_operate.cli.console import fail

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DIGITS = 6
"""Digits of a span at most: longer numbers would overflow a timedelta."""


def parse_span(text: str) -> timedelta | None:
    """Parse a span of time as in 90m, 4h or 2d. Returns None for any other text."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS and unit in _UNITS):
        return None
    return timedelta(**{_UNITS[unit]: int(number)})


def parse_time(text: str | None, option: str) -> int | None:
    """Parse an option's time into epoch ms: ISO 8601 (UTC without a zone), or a span back from
    now as in 90m, 4h or 2d. Ends the command for any other text."""
    if text is None:
        return None
    back = parse_span(text)
    try:
        time = datetime.fromisoformat(text) if back is None else datetime.now(UTC) - back
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return round(time.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise fail(
            f"{option} '{text}' is not a time: write 2026-01-05T10:00, or 90m, 4h, 2d", 2
        ) from error


def format_time(at: int) -> str:
    """Format epoch ms as date and time in UTC."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
