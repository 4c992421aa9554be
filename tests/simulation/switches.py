"""Operators: they turn sending on and off, and kill, while messages are on their way."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from desireline.errors import UnavailableError
from tests.simulation.scheduler import Scheduler

FRESH = 5_000
LIVE = "live"
KILLS = (frozenset({"all"}), frozenset({"close_steps"}), frozenset({"csm_alert"}))


@dataclass(frozen=True)
class Setting:
    """What holds from a time on. off: all, playbooks or channels that are killed."""

    since: int
    mode: str = LIVE
    off: frozenset[str] = frozenset()

    def sends(self, playbook: str, channel: str) -> bool:
        return self.mode == LIVE and not self.killed(playbook, channel)

    def killed(self, playbook: str, channel: str) -> bool:
        return bool(self.off & {"all", playbook, channel})


class Board:
    """All settings of a history, the first since ever."""

    def __init__(self, rng: random.Random, moments: Sequence[int]) -> None:
        """moments: near which somebody turns a switch."""
        times = sorted(
            rng.choice(moments) + rng.randint(-1_000, 90_000)
            for _ in range(rng.randint(2, 6) if moments else 0)
        )
        self.settings = [Setting(0)]
        for time in times:
            mode = rng.choice((LIVE, LIVE, "record", "allowlist"))
            off = rng.choice((frozenset[str](), frozenset[str](), *KILLS))
            self.settings.append(Setting(time, mode, off))

    def at(self, time: int) -> Setting:
        return next(one for one in reversed(self.settings) if one.since <= time)

    def between(self, first: int, last: int) -> list[Setting]:
        """All that held at some time of these."""
        return [self.at(first), *(one for one in self.settings if first < one.since <= last)]


class SimSwitches:
    """The Switches port of one process, which remembers what it read for five seconds."""

    def __init__(self, board: Board, scheduler: Scheduler) -> None:
        self._board = board
        self._scheduler = scheduler
        self._read = Setting(0)
        self._read_at = -FRESH

    def send_mode(self) -> str:
        return self._current().mode

    def allowed(self, recipient: str) -> bool:
        return False

    def killed(self, *, playbook: str, channel: str) -> bool:
        return self._current().killed(playbook, channel)

    def _current(self) -> Setting:
        scheduler = self._scheduler
        if len(self._board.settings) > 1 and scheduler.now - self._read_at >= FRESH:
            scheduler.pause("switches")
            if scheduler.strikes(scheduler.faults.unavailable):
                raise UnavailableError("the switches are invalid")
            self._read, self._read_at = self._board.at(scheduler.now), scheduler.now
        return self._read
