"""PullExport: a project's events, day by day, from an export API to our own webhook.

A sweep goes through the days from the first that is not settled to today. A chunk is durable when
its post returns, and only then does the cursor move: whatever stops a sweep, the next run goes on
at the same day, and what is repeated on the way is known by its event ids.

Events arrive late, so the last days are pulled again in every sweep; of these days only what the
exporter has processed since the latest sweep is posted. A day that leaves the window is pulled
once more as a whole, and is settled.
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
"""Chunks after which the row remembers them, should the function be cut off."""

OVERLAP_MS = 3_600_000
"""How long after it was processed an event may take to show in the export. What takes longer is
found when its day is settled."""

LEAST_SECONDS = 60.0
"""What a run leaves of its time: enough for the chunk under way, tried several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPlan:
    """What is pulled. time_zone: in which the export understands dates. first_day: where history
    begins. window_days: how many days, today not counted, events may be late. requests: how many
    days one run may ask for."""

    source: str
    project: str
    time_zone: str
    first_day: date
    window_days: int
    requests: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a run came to. stopped: why before the end of the sweep, empty if it is complete."""

    days: int
    posted: int
    passed_over: int
    stopped: str = ""


class _OutOfTimeError(Exception):
    """The run has to end; its place is remembered."""


class PullExport:
    """See the module. remaining: seconds that a run has left."""

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

    def __call__(self, remaining: Callable[[], float]) -> Pulled:
        """Go on with the sweep, or begin one. Raises TerminalError for what will not get better by
        itself, such as credentials that are refused; the cursor stays."""
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
        return Pulled(run.days, run.posted, run.passed_over, run.stopped)

    def _sweep(self, run: _Run) -> None:
        row = self._begun()
        assert row.sweep is not None
        assert row.day is not None
        today = self._date(row.sweep)
        for number, day in enumerate(_days(date.fromisoformat(row.day), today)):
            if number == self._plan.requests:
                run.stopped = "enough"
                return
            row = self._pull(day, today, row, run)
            run.days += 1
        self._write(row, through=today.isoformat(), since=row.sweep, sweep=None, day=None, taken=())

    def _begun(self) -> PullRow:
        """The row of the sweep that is under way, or of a new one."""
        plan = self._plan
        row = self._store.get(PullRow.at(plan.source, plan.project))
        row = row or PullRow(source=plan.source, project=plan.project)
        if row.sweep is not None:
            return row
        first = plan.first_day
        if row.settled:
            first = max(first, date.fromisoformat(row.settled) + timedelta(days=1))
        return self._write(row, sweep=self._wall.now(), day=first.isoformat(), taken=())

    def _pull(self, day: date, today: date, row: PullRow, run: _Run) -> PullRow:
        """All of one day; the row afterwards, which stands at the next."""
        settling = day < today - timedelta(days=self._plan.window_days)
        seen = day.isoformat() <= row.through and not settling
        lines = self._exports.lines(day)
        fresh = _processed_since(row.since - OVERLAP_MS, lines, run) if seen else lines
        taken, number = set(row.taken), 0
        try:
            for number, chunk in enumerate(_chunks(fresh), 1):
                digest = hashlib.blake2b(chunk, digest_size=8).hexdigest()
                if digest not in taken:
                    self._post(chunk, run)
                    taken.add(digest)
                if number % REMEMBERED_EVERY == 0:
                    row = self._remember(row, taken)
        except (RetryableError, _OutOfTimeError):
            self._remember(row, taken)
            raise
        following = (day + timedelta(days=1)).isoformat()
        settled = day.isoformat() if settling else row.settled
        return self._write(row, day=following, settled=settled, taken=())

    def _post(self, chunk: bytes, run: _Run) -> None:
        if run.remaining() < LEAST_SECONDS:
            raise _OutOfTimeError
        self._inbox.post(chunk)
        run.posted += chunk.count(b"\n")

    def _remember(self, row: PullRow, taken: set[str]) -> PullRow:
        return row if taken == set(row.taken) else self._write(row, taken=tuple(sorted(taken)))

    def _write(self, row: PullRow, **changes: object) -> PullRow:
        """Raises ConflictError when another run has moved the cursor."""
        changed = row.but(**changes)
        self._store.write(Put(changed))
        return changed.but(version=row.version + 1)

    def _date(self, moment: int) -> date:
        return datetime.fromtimestamp(moment / 1000, UTC).astimezone(self._zone).date()


class _Run:
    """What one run has done so far."""

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
    """Without the events that the exporter had processed before."""
    for line in lines:
        if _processed_at(line) >= moment:
            yield line
        else:
            run.passed_over += 1


def _processed_at(line: bytes) -> float:
    """When the exporter processed the event; of what does not say so: just now."""
    try:
        found = orjson.loads(line)["properties"]["mp_processing_time_ms"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return float("inf")
    return found if isinstance(found, int | float) else float("inf")


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together, each with its line break. The same lines give the same chunks."""
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
