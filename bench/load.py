"""Traffic at a steady rate in which trials become hot, one after the other: what of it is delivered
when, and whether the pipeline keeps up."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean
from typing import Any

import httpx
import numpy as np
import orjson

from bench.hot_leads import Script
from desireline.contracts import Table
from desireline.rows import DecisionRow, Outcome
from desireline_learning.simulator.senders import iso
from desireline_local.cloud import LocalCloud
from desireline_local.demo.ledger import all_rows
from desireline_local.demo.world import CloudWorld
from desireline_local.poller.status import PollerStatus
from desireline_local.sender_side.signing import sign

CLIENTS = 32
PROMISE = 5.0
"""Seconds within which 99 of 100 alerts are delivered at a rate that is held."""
HOPELESS = 8
"""Seconds' worth of events waiting, at which a load is broken off."""
LOOKS = 0.5
PATIENCE = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A load that was run. stamps: of each alert that was delivered. lag: records that waited, at
    every look. late: seconds that the senders needed beyond their plan."""

    rate: int
    copies: int
    stamps: tuple[dict[str, int], ...]
    lag: tuple[int, ...]
    late: float
    whole: bool

    @property
    def seconds(self) -> list[float]:
        """From receipt to delivery."""
        return [(one["delivered"] - one["received"]) / 1000 for one in self.stamps]

    @property
    def p99(self) -> float:
        return float(np.percentile(self.seconds, 99)) if self.stamps else float("inf")

    @property
    def grows(self) -> bool:
        """Whether more than a second's events came to wait between the second and the last third
        of the time."""
        third = len(self.lag) // 3
        if not third:
            return False
        return mean(self.lag[-third:]) - mean(self.lag[third : 2 * third]) > self.rate

    @property
    def held(self) -> bool:
        """Whether the pipeline kept up, and its promise."""
        delivered = len(self.stamps) > self.copies / 2
        kept_up = self.whole and not self.grows and self.late < 2
        return delivered and kept_up and self.p99 <= PROMISE


def behind(poller: PollerStatus, *, archive: bool = True) -> int:
    """Count the unhandled records of all functions, archive_history included or not."""
    return sum(
        mapping["lag"]
        for mapping in poller.look()["mappings"]
        if archive or "archive-history" not in mapping["function"]
    )


def post_calls(
    http: httpx.Client, webhooks: str, secret: bytes, calls: Sequence[dict[str, Any]]
) -> int:
    """Deliver calls of Segment's as one webhook, a single one by itself; how many were taken."""
    body = orjson.dumps({"batch": calls} if len(calls) > 1 else calls[0])
    headers = sign("segment", body, secret, 0)
    answer = http.post(f"{webhooks}/segment", content=body, headers=headers)
    answer.raise_for_status()
    return int(answer.json()["accepted"])


class Load:
    """A context manager; its loads follow one another on one cloud, with other trials each time."""

    def __init__(self, cloud: LocalCloud, script: Script) -> None:
        self._cloud = cloud
        self._script = script
        self._secret = cloud.at.secret("segment")
        self._http = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=CLIENTS))
        self._seen: set[str] = set()
        self._copies = itertools.count()
        self._serial = itertools.count()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def run(self, *, rate: int, batch: int, seconds: int, copies: int) -> Loaded:
        """Events a second, so many a webhook; in that time so many trials become hot."""
        now = time.time_ns() // 1_000_000
        trials = [self._script.copy(next(self._copies), now) for _ in range(copies)]
        for before, _ in trials:
            self._post(before)
        self._settle()
        users = [before[-1]["userId"] for before, _ in trials]
        events = self._events(users, [last for _, last in trials], rate * seconds)
        hopeless = threading.Event()
        with self._lag(HOPELESS * rate, hopeless) as lag:
            planned = time.monotonic() + seconds
            self._send(events, batch=batch, pause=batch / rate, hopeless=hopeless)
            late = time.monotonic() - planned
        self._settle()
        return Loaded(
            rate=rate,
            copies=copies,
            stamps=self._delivered(),
            lag=tuple(lag),
            late=late,
            whole=not hopeless.is_set(),
        )

    def _events(
        self, users: Sequence[str], last: Sequence[dict[str, Any]], count: int
    ) -> Iterator[dict[str, Any]]:
        """Ordinary events of these users, and evenly between them those that make one hot."""
        every, hot = count // len(last), iter(last)
        for number in range(count):
            call = next(hot, None) if number % every == every - 1 else None
            yield call | _just_now() if call else self._ordinary(users[number % len(users)])

    def _send(
        self,
        events: Iterator[dict[str, Any]],
        *,
        batch: int,
        pause: float,
        hopeless: threading.Event,
    ) -> None:
        """At their times, whether earlier ones are answered or not; returns when all are."""
        due = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            while (calls := list(itertools.islice(events, batch))) and not hopeless.is_set():
                pool.submit(self._post, calls)
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))

    @contextmanager
    def _lag(self, limit: int, hopeless: threading.Event) -> Iterator[list[int]]:
        """How many records wait, looked at until the block ends."""
        found: list[int] = []
        ended = threading.Event()

        def look() -> None:
            poller = self._cloud.at.polling()
            while not ended.wait(LOOKS):
                found.append(behind(poller, archive=False))
                if found[-1] > limit:
                    hopeless.set()

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield found
        finally:
            ended.set()
            looking.join()

    def _ordinary(self, user: str) -> dict[str, Any]:
        return {
            "type": "track",
            "messageId": f"load-{next(self._serial)}",
            "userId": user,
            "event": "Report Viewed",
            "properties": {},
        }

    def _post(self, calls: Sequence[dict[str, Any]]) -> int:
        return post_calls(self._http, self._cloud.at.webhooks, self._secret, calls)

    def _settle(self) -> None:
        with CloudWorld(self._cloud.at, patience=PATIENCE) as world:
            world.settle()

    def _delivered(self) -> tuple[dict[str, int], ...]:
        rows = [
            row
            for row in all_rows(self._cloud.at, Table.INTERVENTIONS)
            if isinstance(row, DecisionRow)
            and row.playbook == "hot_lead"
            and row.outcome is Outcome.SENT
            and row.enrolment not in self._seen
        ]
        self._seen |= {row.enrolment for row in rows}
        return tuple(row.stamps.model_dump() for row in rows)


def _just_now() -> dict[str, str]:
    """The time of a call that happens as it is sent. A check waits for its entry's time: one that
    is ahead would be measured as latency, and one long ago is another story's."""
    return {"timestamp": iso(time.time_ns() // 1_000_000)}
