"""Mixpanel and our webhook in memory, for tests of what is pulled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import orjson

from desireline.adapters.memory import MemoryStore
from desireline.receive.pull_exports import PullExport, PullPlan
from desireline.rows.sources import PullRow

DAY = 86_400_000
HOUR = 3_600_000
NOON = 1_767_614_400_000
"""2026-01-05 12:00 UTC."""

TODAY = date(2026, 1, 5)
PLAN = PullPlan(
    source="mixpanel_export",
    project="1",
    time_zone="UTC",
    first_day=date(2026, 1, 1),
    window_days=2,
    requests=30,
)


class Scene:
    """Mixpanel and our webhook in memory. `fails`: by day, the number of lines after which the
    connection breaks, and how; posts: what is durable, in order."""

    def __init__(self, plan: PullPlan = PLAN) -> None:
        self.time = NOON
        self.days: dict[date, list[bytes]] = defaultdict(list)
        self.fails: dict[date, tuple[int, Exception]] = {}
        self.asked: list[date] = []
        self.posts: list[bytes] = []
        self.refuses: dict[int, Exception] = {}
        self.tried = 0
        self.store = MemoryStore()
        self.counts: Counter[str] = Counter()
        self.left: Callable[[], float] = lambda: 800.0
        self.pull = PullExport(
            plan, exports=self, inbox=self, store=self.store, wall=self, metrics=self
        )

    def now(self) -> int:
        return self.time

    def count(self, name: str, value: int = 1, **_: str) -> None:
        self.counts[name] += value

    def lines(self, day: date) -> Iterator[bytes]:
        self.asked.append(day)
        breaks_after, error = self.fails.get(day, (-1, None))
        for number, line in enumerate([*self.days[day], b""]):
            if number == breaks_after and error:
                raise error
            if line:
                yield line

    def post(self, body: bytes) -> None:
        self.tried += 1
        if error := self.refuses.pop(self.tried, None):
            raise error
        self.posts.append(body)

    def happens(self, day: date, *names: str, processed: int | None = None) -> None:
        for name in names:
            given: dict[str, Any] = {"$insert_id": name}
            if processed is not None:
                given["mp_processing_time_ms"] = processed
            self.days[day].append(orjson.dumps({"event": name, "properties": given}))

    @property
    def posted(self) -> list[str]:
        return [
            orjson.loads(line)["event"] for body in self.posts for line in body.splitlines() if line
        ]

    @property
    def row(self) -> PullRow:
        row = self.store.get(PullRow.ref_to("mixpanel_export", "1"))
        assert row is not None
        return row

    def run(self) -> str:
        return self.pull(self.left).stopped
