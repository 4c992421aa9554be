"""Clocks: the wall, and the journey clock, which a local cloud's driver may move."""

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
    """Looks into a local file at each reading: epoch milliseconds while a driver holds the clock,
    nothing while it is the wall's. Functions read the time of every webhook and batch, and to ask
    an address for it costs more than the rest of their work."""

    def __init__(self, url: str) -> None:
        self._path = url2pathname(urlsplit(url).path)
        self._wall = WallClock()

    def now(self) -> int:
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 — half the time of Path's
                held = file.read()
            return int(held) if held else self._wall.now()
        except (OSError, ValueError) as error:
            raise UnavailableError(f"no clock in {self._path}") from error


def journey_clock(url: str | None) -> Clock:
    """The clock of journey time: the wall's, unless the address of a file says otherwise."""
    return VirtualClock(url) if url else WallClock()
