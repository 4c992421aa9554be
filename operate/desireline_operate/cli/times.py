"""How commands are told times, and tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from desireline_operate.cli.console import fail

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DIGITS = 6
"""More of them are no span that anybody means, and soon none that a clock can hold."""


def span(text: str) -> timedelta | None:
    """A span of time, as in 90m, 4h, 2d; None for anything else."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS and unit in _UNITS):
        return None
    return timedelta(**{_UNITS[unit]: int(number)})


def moment(text: str | None, option: str) -> int | None:
    """A time as epoch ms: ISO 8601, UTC without a zone, or a span back from now, as in 90m, 4h,
    2d."""
    if text is None:
        return None
    back = span(text)
    try:
        found = datetime.fromisoformat(text) if back is None else datetime.now(UTC) - back
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return round(found.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise fail(
            f"{option} '{text}' is no time: write 2026-01-05T10:00, or 90m, 4h, 2d", 2
        ) from error


def shown(at: int) -> str:
    """Epoch ms as a person reads it, in UTC."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}"
