"""What is pulled, in which order, and where it goes on: the cursor moves only behind what is
durable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from desireline.errors import (
    TerminalError,
    ThrottledError,
    UnavailableError,
)
from desireline.receive import pull_exports
from desireline.receive.pull_exports import PullPlan
from desireline.rows import Put
from tests.unit.receive.pulling import DAY, HOUR, NOON, PLAN, TODAY, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_exports, "CHUNK_LINES", 2)


def test_a_first_sweep_takes_every_day_from_the_first_to_today(scene: Scene) -> None:
    for number in range(5):
        scene.happens(date(2026, 1, 1) + timedelta(days=number), f"e{number}")

    assert scene.run() == ""

    assert scene.asked == [date(2026, 1, day) for day in range(1, 6)]
    assert scene.posted == ["e0", "e1", "e2", "e3", "e4"]
    assert (scene.row.settled, scene.row.through) == ("2026-01-02", "2026-01-05")
    assert scene.row.sweep is None


def test_today_is_that_of_the_project() -> None:
    """At noon in UTC it is the next day already in Kiritimati, and still yesterday nowhere."""
    plan = PullPlan(**{**_fields(PLAN), "time_zone": "Pacific/Kiritimati"})
    scene = Scene(plan)
    scene.run()
    assert scene.asked[-1] == date(2026, 1, 6)


def test_the_next_sweep_takes_the_window_again_and_posts_what_is_new(scene: Scene) -> None:
    """Given a sweep at noon, when an hour later one event is new and one is of two days ago but
    was processed only now, then these two are posted and no other."""
    early = NOON - 5 * HOUR
    scene.happens(date(2026, 1, 1), "old", processed=early)
    scene.happens(date(2026, 1, 3), "before", processed=early)
    scene.happens(TODAY, "morning", processed=early)
    scene.run()
    scene.posts.clear()
    scene.asked.clear()

    scene.time = NOON + HOUR
    scene.happens(TODAY, "new", processed=NOON + HOUR // 2)
    scene.happens(date(2026, 1, 3), "late", processed=NOON + HOUR // 2)
    scene.happens(date(2026, 1, 2), "too late", processed=NOON + HOUR // 2)

    assert scene.run() == ""
    assert scene.asked == [date(2026, 1, 3), date(2026, 1, 4), TODAY]
    assert scene.posted == ["late", "new"]
    assert scene.counts["events_passed_over"] == 2


def test_what_shows_in_the_export_a_little_later_is_not_missed(scene: Scene) -> None:
    scene.run()
    scene.time = NOON + HOUR
    scene.happens(TODAY, "slow", processed=NOON - HOUR // 2)
    scene.run()
    assert scene.posted == ["slow"]


def test_a_day_that_leaves_the_window_is_taken_once_more_as_a_whole(scene: Scene) -> None:
    """Given an event that showed in the export long after it was processed, when its day leaves
    the window, then it is posted after all."""
    scene.run()
    scene.happens(date(2026, 1, 3), "hidden", processed=NOON - 2 * DAY)
    scene.time = NOON + HOUR
    scene.run()
    assert scene.posted == []

    scene.time = NOON + DAY
    scene.run()

    assert scene.posted == ["hidden"]
    assert scene.row.settled == "2026-01-03"


def test_an_event_without_a_processing_time_is_always_posted(scene: Scene) -> None:
    scene.happens(TODAY, "plain")
    scene.days[TODAY] += [b"no json", b"[]", b'{"properties": {"mp_processing_time_ms": "x"}}']
    scene.run()
    scene.posts.clear()
    scene.run()
    assert b"".join(scene.posts).count(b"\n") == 4


@pytest.mark.parametrize(
    ("error", "why"),
    [(ThrottledError("429"), "rate_limited"), (UnavailableError("cut"), "unavailable")],
)
def test_a_broken_day_is_taken_again_from_there(
    scene: Scene, error: Exception, why: str, small_chunks: None
) -> None:
    """Given five events of a day, of which the connection brings three, when the next run comes,
    then it begins at that day, and posts only what was not durable."""
    scene.happens(date(2026, 1, 1), "a")
    scene.happens(date(2026, 1, 2), *"bcdef")
    scene.fails = {date(2026, 1, 2): (3, error)}

    assert scene.run() == why
    assert scene.posted == ["a", "b", "c"]
    assert scene.row.day == "2026-01-02"
    assert scene.counts["pulls_interrupted"] == 1

    scene.fails.clear()
    scene.asked.clear()
    assert scene.run() == ""
    assert scene.asked[0] == date(2026, 1, 2)
    assert scene.posted == ["a", "b", "c", "d", "e", "f"]
    assert scene.row.posted == ()


def test_another_order_of_a_day_only_repeats(scene: Scene, small_chunks: None) -> None:
    day = date(2026, 1, 1)
    scene.happens(day, *"abcdef")
    scene.fails = {day: (4, UnavailableError("cut"))}
    scene.run()
    scene.fails.clear()
    scene.days[day].reverse()
    scene.run()
    assert set(scene.posted) == set("abcdef")


@pytest.mark.parametrize("error", [UnavailableError("503"), ThrottledError("429")])
def test_what_our_webhook_does_not_take_is_not_passed(
    scene: Scene, error: Exception, small_chunks: None
) -> None:
    scene.happens(date(2026, 1, 1), *"abcd")
    scene.refuses = {2: error}
    assert scene.run() in ("unavailable", "rate_limited")
    assert scene.row.day == "2026-01-01"
    scene.run()
    assert scene.posted == list("abcd")


def test_what_will_not_get_better_is_raised_and_the_cursor_stays(scene: Scene) -> None:
    scene.fails = {date(2026, 1, 3): (0, TerminalError("unauthorised", "401"))}
    with pytest.raises(TerminalError):
        scene.run()
    assert scene.row.day == "2026-01-03"
    assert scene.counts["pulls_interrupted"] == 1


def test_a_run_ends_in_time_and_the_next_goes_on(scene: Scene, small_chunks: None) -> None:
    scene.happens(date(2026, 1, 1), *"abcdef")
    seconds = iter([300.0, 200.0, 59.0])
    scene.left = lambda: next(seconds)
    assert scene.run() == "out_of_time"
    assert scene.posted == list("abcd")
    assert scene.counts["pulls_interrupted"] == 0

    scene.left = lambda: 800.0
    assert scene.run() == ""
    assert scene.posted == list("abcdef")


def test_a_run_asks_for_so_many_days_and_no_more() -> None:
    scene = Scene(PullPlan(**{**_fields(PLAN), "first_day": date(2025, 12, 1), "requests": 10}))
    runs = 1
    while scene.run() == "enough":
        runs += 1
        assert len(scene.asked) == 10 * (runs - 1)
    assert runs == 4
    assert len(scene.asked) == 36
    assert len(set(scene.asked)) == 36


def test_of_two_runs_at_once_one_gives_way(scene: Scene) -> None:
    """Given a run under way, when another one moves the cursor meanwhile, then the first stops,
    and nothing is lost."""
    scene.happens(date(2026, 1, 1), "a")
    scene.happens(TODAY, "b")
    original = scene.lines

    def overtaken(day: date) -> Iterator[bytes]:
        if day == date(2026, 1, 3):
            scene.store.write(Put(scene.row.but(posted=("by another",))))
        return original(day)

    scene.lines = overtaken  # type: ignore[method-assign]
    assert scene.run() == "overtaken"
    scene.lines = original  # type: ignore[method-assign]
    assert scene.run() == ""
    assert scene.posted == ["a", "b"]


def test_a_sweep_over_midnight_ends_with_the_day_at_which_it_began(scene: Scene) -> None:
    """The new day is the next sweep's, as a whole: it has not been looked at yet."""
    scene.happens(TODAY, "a", processed=NOON - 5 * HOUR)
    scene.fails = {TODAY: (0, UnavailableError("cut"))}
    scene.run()
    scene.fails.clear()
    scene.time = NOON + DAY
    scene.happens(TODAY + timedelta(days=1), "ahead of its time", processed=NOON - DAY)
    scene.run()
    assert scene.row.through == "2026-01-05"
    scene.run()
    assert scene.posted == ["a", "ahead of its time"]


def test_chunks_have_an_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_exports, "CHUNK_BYTES", 200)
    scene.happens(TODAY, *(f"{number}" * 30 for number in range(9)), "x" * 500)
    scene.run()
    assert len(scene.posted) == 10
    sizes = [len(body) for body in scene.posts]
    assert max(sizes[:-1]) <= 201
    assert all(body.endswith(b"\n") for body in scene.posts)


def test_large_days_are_remembered_on_the_way(
    scene: Scene, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a function that is killed without a word, when it comes back, then only what was not
    yet remembered is posted again."""
    monkeypatch.setattr(pull_exports, "REMEMBERED_EVERY", 2)
    scene.happens(date(2026, 1, 1), *"abcdefghij")

    class KilledError(BaseException):
        """No handler sees it."""

    scene.refuses = {5: KilledError()}  # type: ignore[dict-item]
    with pytest.raises(KilledError):
        scene.run()
    scene.run()
    assert scene.posted == list("abcdefghij")


def _fields(plan: PullPlan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in PullPlan.__slots__}
