"""Convert senders' times to and from epoch milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite

EARLIEST = 946_684_800_000
"""2000-01-01. Earlier times are mistakes of the sender."""

_FRACTION = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
END_OF_TIME = 253_402_300_800_000
"""The year 10000."""


def epoch_ms(value: object) -> int | None:
    """Convert an ISO 8601 time to epoch milliseconds; None if it is invalid. No zone means UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        at = round(moment.timestamp() * 1000)
    except OverflowError:
        return None
    return at if at >= EARLIEST else None


def epoch_millis(value: object) -> int | None:
    """Return a number of epoch milliseconds; None if it is invalid."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if value >= EARLIEST else None


def epoch_seconds(value: object) -> int | None:
    """Convert a number of epoch seconds to milliseconds; None if it is invalid."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value * 1000 if value * 1000 >= EARLIEST else None


def epoch_fraction(value: object) -> int | None:
    """Convert a text of epoch seconds, such as '1355517523.000005', to milliseconds.

    Returns None if it is invalid."""
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        return None
    at = round(float(value) * 1000)
    return at if at >= EARLIEST else None


def iso(at: int) -> str:
    """Format epoch milliseconds in ISO 8601: UTC, whole seconds, with Z."""
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_any(value: object) -> int | None:
    """Convert an ISO 8601 text, or a number of epoch seconds or milliseconds, to milliseconds.

    Numbers from `EARLIEST` on are milliseconds, smaller ones are seconds. Returns None if the value
    is invalid."""
    if isinstance(value, str):
        return epoch_ms(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return None
    at = round(value if value >= EARLIEST else value * 1000)
    return at if EARLIEST <= at < END_OF_TIME else None
