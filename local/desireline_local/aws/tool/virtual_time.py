"""Virtual time for Step Functions: Wait states sleep on a clock that a driver moves.

Without a driver it is the wall clock. A driver freezes it and moves it from due time to due time.
Waits of a Retry and everything else stay on the wall clock (delivery rule 13).
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import ministack.services.stepfunctions as sf

START_DELAY = 0.15
"""Seconds that ministack waits before an execution's first state, after its answer."""


class Clock:
    """Journey time in epoch seconds. It wakes only the sleepers that are due.

    Functions read a file: epoch milliseconds while the clock is frozen, empty while it runs.
    """

    def __init__(self) -> None:
        self._frozen: float | None = None
        self._file: Path | None = None
        self._lock = threading.Condition()
        self._serial = itertools.count()
        self._due: list[tuple[float, int, threading.Event]] = []
        self._cancelled: set[int] = set()
        threading.Thread(target=self._tick, daemon=True).start()

    def now(self) -> float:
        """Return journey time."""
        return time.time() if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        """Whether a driver has frozen the clock."""
        return self._frozen is not None

    def tell(self, file: Path) -> None:
        """Write the clock to this file from now on."""
        self._file = file
        file.write_bytes(b"")

    def freeze(self, at: float) -> None:
        """Freeze the clock at `at` until it is advanced."""
        with self._lock:
            self._set(at)

    def advance(self, to: float) -> None:
        """Advance a frozen clock; it never goes back."""
        with self._lock:
            self._set(max(self.now(), to))

    def wait(self, wake: threading.Event, due: float) -> None:
        """Block until `wake` is set or the clock reaches `due`."""
        with self._lock:
            if due > self.now():
                heapq.heappush(self._due, (due, next(self._serial), wake))
                self._lock.notify()
            else:
                return
        wake.wait()

    def _set(self, at: float) -> None:
        """Replace the file atomically for its readers, then wake the sleepers."""
        self._frozen = at
        if self._file:
            written = self._file.with_suffix(".new")
            written.write_text(str(round(at * 1000)))
            written.replace(self._file)
        self._wake_due()

    def _wake_due(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            heapq.heappop(self._due)[2].set()

    def _tick(self) -> None:
        """Wake the sleepers that are due while the wall clock runs."""
        while True:
            with self._lock:
                self._wake_due()
                wait = 1.0
                if self._due and self._frozen is None:
                    wait = min(wait, max(0.005, self._due[0][0] - self.now()))
                self._lock.wait(wait)


CLOCK = Clock()


class Sleepers:
    """The sleeping executions and their due times. Branches of Parallel and Map have their own
    threads, which are not tracked: an execution inside a branch counts as awake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, tuple[float, threading.Event]] = {}
        self._local = threading.local()

    def run(self, execution: str, body: Callable[[], None]) -> None:
        """Run an execution's thread, and attribute its sleeps to the execution."""
        self._local.execution = execution
        try:
            body()
        finally:
            with self._lock:
                self._due.pop(execution, None)

    def sleep(self, due: float, wake: threading.Event) -> None:
        """Sleep until `due` or until `wake` is set, and record it for the execution."""
        execution = getattr(self._local, "execution", None)
        if execution is None:
            CLOCK.wait(wake, due)
            return
        with self._lock:
            self._due[execution] = due, wake
        try:
            CLOCK.wait(wake, due)
        finally:
            with self._lock:
                self._due.pop(execution, None)

    def due(self, execution: str) -> float | None:
        """Return the due time of a sleeping execution; None if it is awake or has been woken."""
        with self._lock:
            due, wake = self._due.get(execution, (0.0, None))
        if wake is None or wake.is_set() or due <= CLOCK.now():
            return None
        return due


SLEEPERS = Sleepers()
_wait = threading.local()


class VirtualEvent:
    """The event of a state with a task token. Its time-out is journey time."""

    def __init__(self) -> None:
        self._completed = False
        self._wake = threading.Event()

    def set(self) -> None:
        self._completed = True
        self._wake.set()

    def is_set(self) -> bool:
        return self._completed

    def wait(self, timeout: float | None = None) -> bool:
        due = CLOCK.now() + (1e12 if timeout is None else timeout)
        SLEEPERS.sleep(due, self._wake)
        return self._completed


class _Threading:
    """Replaces the service's `threading`: events use journey time."""

    Event = VirtualEvent

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


class _Time:
    """Replaces the service's `time`: no pause before an execution's first state."""

    def sleep(self, seconds: float) -> None:
        time.sleep(0.002 if seconds == START_DELAY else seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def install() -> None:
    """Replace ministack's sleeps. Raises AssertionError or AttributeError if it has changed."""
    assert callable(sf._scaled_sleep)
    assert callable(sf._sleep_until)
    execute_wait, run_execution = sf._execute_wait, sf._run_execution

    def waiting(*arguments: Any, **keywords: Any) -> Any:
        _wait.inside = True
        try:
            return execute_wait(*arguments, **keywords)
        finally:
            _wait.inside = False

    def running(execution: str) -> None:
        SLEEPERS.run(execution, lambda: run_execution(execution))

    execute_task = sf._execute_task

    def tasked(state: Any, raw_input: Any, execution: Any, context: Any) -> Any:
        path = state.get("TimeoutSecondsPath")
        if path is not None:
            given = sf._apply_input_path(state, raw_input, context)
            state = {**state, "TimeoutSeconds": sf._resolve_path(path, given)}
        return execute_task(state, raw_input, execution, context)

    sf._execute_task = tasked
    sf._execute_wait = waiting
    sf._run_execution = running
    sf._scaled_sleep = _sleep
    sf._sleep_until = _sleep_until
    sf.threading = _Threading()
    sf.time = _Time()


def _sleep(seconds: float) -> None:
    if getattr(_wait, "inside", False):
        _until(CLOCK.now() + seconds)
    else:
        time.sleep(seconds)


def _sleep_until(timestamp: str) -> None:
    _until(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp())


def _until(due: float) -> None:
    SLEEPERS.sleep(due, threading.Event())
