"""The wall clock, and the journey clock, which the demo driver of a local cloud may set."""

from __future__ import annotations

import time
from urllib.parse import urlsplit
from urllib.request import url2pathname

from desireline.errors import UnavailableError
from desireline.ports import Clock


class WallClock:
    """The system's time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


class VirtualClock:
    """Reads the time from a local file: epoch milliseconds, or nothing for the wall clock's time.

    Functions read the time for every webhook and batch. A request to a server would cost more than
    the rest of their work."""

    def __init__(self, url: str) -> None:
        self._path = url2pathname(urlsplit(url).path)
        self._wall = WallClock()

    def now(self) -> int:
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 — half the time of Path's
                content = file.read()
            return int(content) if content else self._wall.now()
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{self._path} is not a clock: start the local cloud") from error


def journey_clock(url: str | None) -> Clock:
    """Return the clock of journey time. url: of the clock's file; None for the wall clock."""
    return VirtualClock(url) if url else WallClock()
