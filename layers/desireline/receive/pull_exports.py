"""PullExport: pull a project's events from an export API, and post them to our own webhook.

A sweep pulls all days from the first unsettled day to today. The cursor moves only after a post
returns, when its chunk is durable. So the next run continues an interrupted sweep at the same day.
Its repeated events have the same ids, and count once.

Events arrive late, so every sweep pulls the days of the window again. Of these days it posts only
the events that the exporter processed after the previous sweep. When a day leaves the window, the
sweep pulls the whole day a last time, and the day is settled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson

from desireline.errors import ConflictError, RetryableError, TerminalError, ThrottledError
from desireline.ports import Clock, Exports, Inbox, Metrics, Store
from desireline.rows import Put
from desireline.rows.sources import PullRow

CHUNK_LINES = 1_000
CHUNK_BYTES = 1024 * 1024
REMEMBERED_EVERY = 50
"""Chunks between two writes of the row. An interrupted run repeats at most so many chunks."""

OVERLAP_MS = 3_600_000
"""The export shows an event at most this long after processing it. The last pull of the event's
day finds events that took longer."""

LEAST_SECONDS = 60.0
"""A run ends when fewer seconds are left: one chunk with all its retries takes less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPlan:
    """The settings of a pull. time_zone: the zone of the export's dates. first_day: the first day
    of the history. window_days: events may be so many days late. requests: the most days that one
    run pulls, with one request each."""

    source: str
    project: str
    time_zone: str
    first_day: date
    window_days: int
    requests: int


@dataclass(frozen=True, slots=True)
class PullResult:
    """The counts of a run. days: pulled days. posted: posted events. passed_over: events that an
    earlier sweep had posted. stopped: the reason for an early end; empty after a whole sweep."""

    days: int
    posted: int
    passed_over: int
    stopped: str = ""


class _OutOfTimeError(Exception):
    """The run has to end. The row holds its position."""


class PullExport:
    """Pulls one project. See the module for the order of posts and writes."""

    def __init__(
        self,
        plan: PullPlan,
        *,
        exports: Exports,
        inbox: Inbox,
        store: Store,
        wall: Clock,
        metrics: Metrics,
    ) -> None:
        self._plan = plan
        self._zone = ZoneInfo(plan.time_zone)
        self._exports = exports
        self._inbox = inbox
        self._store = store
        self._wall = wall
        self._metrics = metrics

    def __call__(self, remaining: Callable[[], float]) -> PullResult:
        """Continue the current sweep, or begin a new one. remaining: returns the seconds left.

        Raises TerminalError for an error that a retry cannot solve, such as refused credentials.
        The cursor then stays."""
        run = _Run(remaining)
        try:
            self._sweep(run)
        except _OutOfTimeError:
            run.stopped = "out_of_time"
        except ConflictError:
            run.stopped = "overtaken"
        except ThrottledError:
            run.stopped = "rate_limited"
        except RetryableError:
            run.stopped = "unavailable"
        except TerminalError:
            self._metrics.count("pulls_interrupted")
            raise
        finally:
            self._metrics.count("events_pulled", run.posted)
            self._metrics.count("events_passed_over", run.passed_over)
        if run.stopped in ("rate_limited", "unavailable"):
            self._metrics.count("pulls_interrupted")
        return PullResult(run.days, run.posted, run.passed_over, run.stopped)

    def _sweep(self, run: _Run) -> None:
        row = self._current_sweep()
        assert row.sweep is not None
        assert row.day is not None
        today = self._date(row.sweep)
        for number, day in enumerate(_days(date.fromisoformat(row.day), today)):
            if number == self._plan.requests:
                run.stopped = "enough"
                return
            row = self._pull(day, today, row, run)
            run.days += 1
        self._write(
            row, through=today.isoformat(), since=row.sweep, sweep=None, day=None, posted=()
        )

    def _current_sweep(self) -> PullRow:
        """Return the row of the current sweep, or begin a sweep."""
        plan = self._plan
        row = self._store.get(PullRow.ref_to(plan.source, plan.project))
        row = row or PullRow(source=plan.source, project=plan.project)
        if row.sweep is not None:
            return row
        first = plan.first_day
        if row.settled:
            first = max(first, date.fromisoformat(row.settled) + timedelta(days=1))
        return self._write(row, sweep=self._wall.now(), day=first.isoformat(), posted=())

    def _pull(self, day: date, today: date, row: PullRow, run: _Run) -> PullRow:
        """Pull one day. Return the written row, whose cursor is at the next day."""
        settling = day < today - timedelta(days=self._plan.window_days)
        pulled_before = day.isoformat() <= row.through and not settling
        lines = self._exports.lines(day)
        fresh = _processed_since(row.since - OVERLAP_MS, lines, run) if pulled_before else lines
        posted, number = set(row.posted), 0
        try:
            for number, chunk in enumerate(_chunks(fresh), 1):
                digest = hashlib.blake2b(chunk, digest_size=8).hexdigest()
                if digest not in posted:
                    self._post(chunk, run)
                    posted.add(digest)
                if number % REMEMBERED_EVERY == 0:
                    row = self._remember(row, posted)
        except (RetryableError, _OutOfTimeError):
            self._remember(row, posted)
            raise
        following = (day + timedelta(days=1)).isoformat()
        settled = day.isoformat() if settling else row.settled
        return self._write(row, day=following, settled=settled, posted=())

    def _post(self, chunk: bytes, run: _Run) -> None:
        if run.remaining() < LEAST_SECONDS:
            raise _OutOfTimeError
        self._inbox.post(chunk)
        run.posted += chunk.count(b"\n")

    def _remember(self, row: PullRow, posted: set[str]) -> PullRow:
        """Write the digests of the day's posted chunks, if they changed."""
        return row if posted == set(row.posted) else self._write(row, posted=tuple(sorted(posted)))

    def _write(self, row: PullRow, **changes: object) -> PullRow:
        """Write the row with changes. Raises ConflictError if another run moved the cursor."""
        changed = row.but(**changes)
        self._store.write(Put(changed))
        return changed.but(version=row.version + 1)

    def _date(self, moment: int) -> date:
        return datetime.fromtimestamp(moment / 1000, UTC).astimezone(self._zone).date()


class _Run:
    """The counts of the current run."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        self.remaining = remaining
        self.days = 0
        self.posted = 0
        self.passed_over = 0
        self.stopped = ""


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _processed_since(moment: int, lines: Iterable[bytes], run: _Run) -> Iterator[bytes]:
    """Yield the lines that the exporter processed at or after a moment (epoch ms)."""
    for line in lines:
        if _processed_at(line) >= moment:
            yield line
        else:
            run.passed_over += 1


def _processed_at(line: bytes) -> float:
    """Return when the exporter processed the event, in epoch ms. Infinity if the line omits it."""
    try:
        moment = orjson.loads(line)["properties"]["mp_processing_time_ms"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return float("inf")
    return moment if isinstance(moment, int | float) else float("inf")


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to chunks, each line with its line break. Equal lines give equal chunks."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and (len(chunk) == CHUNK_LINES or size + len(line) > CHUNK_BYTES):
            yield b"\n".join([*chunk, b""])
            chunk, size = [], 0
        chunk.append(line)
        size += len(line) + 1
    if chunk:
        yield b"\n".join([*chunk, b""])
