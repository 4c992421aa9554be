"""Whatever breaks on the way, and however late an event shows: it is posted, and the cursor never
stands behind what is not durable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.errors import ConflictError, ThrottledError, UnavailableError
from desireline.receive import pull_exports
from desireline.receive.pull_exports import OVERLAP_MS, PullPlan
from desireline.rows import Check, Put
from desireline.rows.sources import PullRow
from tests.unit.receive.pulling import DAY, HOUR, Scene

WINDOW = 3
PLAN = PullPlan(
    source="mixpanel_export",
    project="1",
    time_zone="America/Los_Angeles",
    first_day=date(2026, 1, 3),
    window_days=WINDOW,
    requests=6,
)


class KilledError(BaseException):
    """The function is gone, without a word."""


FAULTS = [
    UnavailableError("away"),
    ThrottledError("slow down"),
    ConflictError("moved"),
    KilledError(),
]


@dataclass(frozen=True)
class Late:
    """An event of a day, processed at one time, and shown by the export at another."""

    name: str
    day: date
    processed: int
    shown: int


class Troubled(Scene):
    """The scene with an export that shows events when it likes, in whatever order, and a fault at
    each of some calls, of whichever port."""

    def __init__(self) -> None:
        super().__init__(PLAN)
        self.events: list[Late] = []
        self.faults: dict[int, BaseException] = {}
        self.calls = 0
        self.turn = 0
        write = self.store.write

        def troubled(*writes: Put | Check) -> None:
            self.trouble()
            write(*writes)

        self.store.write = troubled  # type: ignore[method-assign]

    def trouble(self) -> None:
        self.calls += 1
        if self.calls in self.faults:
            raise self.faults[self.calls]

    def lines(self, day: date) -> Iterator[bytes]:
        shown = [one for one in self.events if one.day == day and one.shown <= self.time]
        turn = self.turn % len(shown) if shown else 0
        for one in [*shown[turn:], *shown[:turn]]:
            self.trouble()
            given = {"$insert_id": one.name, "mp_processing_time_ms": one.processed}
            yield orjson.dumps({"event": one.name, "properties": given})

    def post(self, body: bytes) -> None:
        self.trouble()
        super().post(body)

    def run_once(self, faults: dict[int, BaseException]) -> None:
        self.faults, self.calls = faults, 0
        try:
            self.run()
        except KilledError:
            pass
        self.faults = {}


def today(scene: Scene) -> date:
    """The project's, in winter."""
    return datetime.fromtimestamp((scene.time - 8 * HOUR) / 1000, UTC).date()


STEP = st.fixed_dictionaries(
    {
        "hours": st.sampled_from([0.5, 1, 1, 5, 24]),
        "events": st.lists(
            st.tuples(st.sampled_from([0, 0, 0, 1, -1]), st.sampled_from([0, 0, 0, 1, 5, 24])),
            min_size=1,
            max_size=5,
        ),
        "faults": st.dictionaries(st.integers(3, 12), st.sampled_from(FAULTS), max_size=1),
        "turn": st.sampled_from([0, 0, 0, 1, 2]),
    }
)


@pytest.fixture(autouse=True)
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pull_exports, "CHUNK_LINES", 2)
        patch.setattr(pull_exports, "REMEMBERED_EVERY", 1)
        yield


@given(st.lists(STEP, min_size=2, max_size=8))
@settings(max_examples=250, deadline=None)
def test_every_event_is_posted_whatever_breaks(steps: list[dict[str, Any]]) -> None:
    """Given events of today, yesterday and, by a clock that is ahead, tomorrow, which the export
    shows up to a day late, in any order, and runs that break anywhere, when enough time has passed,
    then each has been posted."""
    scene = Troubled()
    for number, step in enumerate(steps):
        scene.time += round(step["hours"] * HOUR)
        scene.turn = step["turn"]
        for place, (ago, delay) in enumerate(step["events"]):
            day = max(today(scene) - timedelta(days=ago), PLAN.first_day)
            late = scene.time + delay * HOUR
            scene.events.append(Late(f"{number}-{place}", day, scene.time, late))
        scene.run_once(step["faults"])
        assert not owed(scene), "the cursor has passed what is not durable"
    for _ in range(WINDOW + 4):
        scene.time += DAY
        for _ in range(4):
            scene.run_once({})

    assert {*scene.posted} == {one.name for one in scene.events}
    assert date.fromisoformat(scene.row.settled) == today(scene) - timedelta(days=WINDOW + 1)


def owed(scene: Troubled) -> set[str]:
    """Events that should have been posted and were not: those of settled days, and those that the
    latest complete sweep, or one before, was to find."""
    row = scene.store.get(PullRow.ref_to("mixpanel_export", "1")) or PullRow(source="", project="")
    promised = {
        one.name
        for one in scene.events
        if (one.day.isoformat() <= row.settled and one.shown <= scene.time)
        or (
            one.day.isoformat() <= row.through
            and one.shown <= row.since
            and one.shown - one.processed <= OVERLAP_MS
        )
    }
    return promised - {*scene.posted}
