"""latency.sustained_rate: the highest rate that the running cloud holds for a minute.

Held: the senders are answered as fast as they send, the lag does not grow, and 99 of 100 alerts are
delivered within five seconds. Looked for by short loads, then held for a minute.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import say
from bench.hot_leads import hot_script
from bench.load import Load, Loaded
from bench.running import send_for_real
from desireline_local.cloud import LocalCloud

MINUTE, COPIES = 60, 40
PROBE, PROBE_COPIES = 12, 12
NEAR = 1.25
"""A rate that holds and one that does not, so near to one another, end the search."""
LOWER = 0.85
BUDGET = 260.0
"""Seconds for one kind of webhook, in which the last minute has to begin."""
MINUTES = 3
"""Of these, kept for rates that were held for a moment and may not be for long."""
SINGLES, BATCHES = (1, 50), (20, 200)
"""Events a webhook, and the rate to begin with."""


def measure() -> list[dict[str, Any]]:
    """One row for single events and one for batches of twenty."""
    script = hot_script()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud(Path(folder) / "cloud") as cloud,
    ):
        send_for_real(cloud)
        with Load(cloud, script) as load:
            rows = [
                _row(name, Search(load, batch), guess)
                for name, (batch, guess) in (("singles", SINGLES), ("batches", BATCHES))
            ]
    for row in rows:
        if not row["value"]:
            say(f"  {row['name']}: no rate was held for a minute in time, so there is no figure")
    return [row for row in rows if row["value"]]


def _row(name: str, search: Search, guess: int) -> dict[str, Any]:
    """Without a peer: nothing comparable runs beside it. It says what a higher rate has met."""
    return {
        "name": f"latency.sustained_rate.{name}",
        "value": search.highest(guess),
        "unit": "events/s",
        "peer": search.saturates,
    }


class Search:
    """For the highest rate of webhooks of so many events that is held. saturates: what the lowest
    rate that was not held has met."""

    def __init__(self, load: Load, batch: int) -> None:
        self._load = load
        self._batch = batch
        self._until = time.monotonic() + BUDGET
        self._lowest = math.inf
        self.saturates: str | None = None

    def highest(self, guess: int) -> int:
        """0 if none of those that were tried was held for a minute."""
        tried = self._probed(guess)
        while tried and time.monotonic() < self._until:
            if self._runs(tried, seconds=MINUTE, copies=COPIES):
                return tried
            tried = round(tried * LOWER)
        return 0

    def _probed(self, guess: int) -> int:
        """The highest rate that was held for a moment."""
        low, high, tried = 0, math.inf, guess
        last = self._until - MINUTES * MINUTE
        while high > low * NEAR and low < tried < high and time.monotonic() < last:
            if self._runs(tried, seconds=PROBE, copies=PROBE_COPIES):
                low = tried
            else:
                high = tried
            tried = _between(low, high)
        return low

    def _runs(self, tried: int, *, seconds: int, copies: int) -> bool:
        found = self._load.run(rate=tried, batch=self._batch, seconds=seconds, copies=copies)
        say(f"  {self._batch} a webhook, {tried}/s for {seconds} s: {describe(found)}")
        if not found.held and tried <= self._lowest:
            self._lowest, self.saturates = tried, f"at {tried}/s: {saturation(found)}"
        return found.held


def _between(low: int, high: float) -> int:
    if not low:
        return int(high // 2)
    return round(low * 1.6 if math.isinf(high) else math.sqrt(low * high))


def describe(load: Loaded) -> str:
    """Describe a load in a line."""
    if not load.whole:
        return "not held, broken off: too much waits"
    parts = [f"p99 {load.p99:.1f} s", f"lag at most {max(load.lag, default=0)}"]
    parts += ["growing"] if load.grows else []
    parts += [f"senders {load.late:.1f} s late"] if load.late >= 1 else []
    return f"{'held' if load.held else 'not held'}, {', '.join(parts)}"


def saturation(load: Loaded) -> str:
    """What gave way first, from the senders to the alerts."""
    if load.late >= 1:
        return f"senders wait {load.late:.1f} s for the API"
    if not load.whole or load.grows:
        return f"{max(load.lag, default=0)} records wait for the consumers"
    return f"alerts take {load.p99:.1f} s at p99"
