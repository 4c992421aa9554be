"""Senders' times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite

EARLIEST = 946_684_800_000
"""2000-01-01: what is before is no time but a mistake."""

_FRACTION = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
END_OF_TIME = 253_402_300_800_000
"""The year 10000."""


def epoch_ms(value: object) -> int | None:
    """An ISO 8601 time as epoch milliseconds; None where there is none. Without zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        found = round(moment.timestamp() * 1000)
    except OverflowError:
        return None
    return found if found >= EARLIEST else None


def epoch_millis(value: object) -> int | None:
    """A number of milliseconds since the epoch; None where there is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if value >= EARLIEST else None


def epoch_seconds(value: object) -> int | None:
    """A number of seconds since the epoch as milliseconds; None where there is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value * 1000 if value * 1000 >= EARLIEST else None


def epoch_fraction(value: object) -> int | None:
    """Seconds since the epoch as a text with a fraction, '1355517523.000005', as milliseconds;
    None where there are none."""
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        return None
    found = round(float(value) * 1000)
    return found if found >= EARLIEST else None


def iso(at: int) -> str:
    """Epoch milliseconds as senders write them: UTC, whole seconds, Z."""
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_any(value: object) -> int | None:
    """A text in ISO 8601, or a number of seconds or of milliseconds since the epoch, as
    milliseconds; None where there is none. Numbers from the year 2000 on tell themselves apart."""
    if isinstance(value, str):
        return epoch_ms(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    found = round(value if value >= EARLIEST else value * 1000)
    return found if EARLIEST <= found < END_OF_TIME else None
