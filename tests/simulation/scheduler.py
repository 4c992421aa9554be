"""A seeded scheduler for synchronous code: every call of a port is a point where others may go on,
time may pass, or the process may die.

Tasks are greenlets. A port calls `pause` before and after what it does; the scheduler then picks
who is next. All chance comes from one generator, so a seed is a whole history.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet

from tests.simulation.faults import Faults

LONGEST_RUN = 100_000
"""Steps after which a run counts as one that never comes to rest."""
WEIGHTS = (1.0, 1.0, 1.0, 0.2, 0.03)
"""Most processes are as quick as the others; a few lag behind, which is where races are lost."""


class Crash(BaseException):
    """The process dies here. No handler of the code under test may catch it."""


class NeverAtRestError(AssertionError):
    """Something is tried again and again for ever."""


@dataclass(eq=False)
class Task:
    """One invocation. wake: when it goes on; deadline: when its process is killed. weight: how
    often it is picked, compared with others. risk: how much likelier it dies where it stands.
    began, since: the time, and the place among all writes, at which its first step ran."""

    name: str
    body: Callable[[], Any]
    done: Callable[[Any], None]
    died: Callable[[BaseException], None]
    deadline: int | None
    wake: int
    weight: float = 1.0
    risk: int = 1
    began: int = 0
    since: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    thread: greenlet | None = None


class Scheduler:
    """now: epoch ms. Faults happen until `calm_at`. order: gives the place of the latest write."""

    def __init__(self, rng: random.Random, faults: Faults, *, now: int, calm_at: int) -> None:
        self.rng = rng
        self.faults = faults
        self.now = now
        self.calm_at = calm_at
        self.pace = rng.choice((5, 40, 200))
        self.trace: list[str] = []
        self.order: Callable[[], int] = lambda: 0
        self.crashes = 0
        self._tasks: list[Task] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._hub = getcurrent()
        self._running: Task | None = None

    @property
    def current(self) -> Task:
        """The task that runs now."""
        assert self._running is not None
        return self._running

    def strikes(self, rate: float) -> bool:
        """Whether a fault of that rate happens now."""
        return rate > 0 and self.now < self.calm_at and self.rng.random() < rate

    def spawn(
        self,
        name: str,
        body: Callable[[], Any],
        *,
        done: Callable[[Any], None] = lambda _: None,
        died: Callable[[BaseException], None] = lambda _: None,
        timeout: int | None = None,
    ) -> None:
        """Run `body` as a task; `done` gets its result, `died` what it died of. timeout: ms."""
        deadline = None if timeout is None else self.now + timeout
        weight = self.rng.choice(WEIGHTS)
        self._tasks.append(Task(name, body, done, died, deadline, self.now, weight))

    def at(self, time: int, what: Callable[[], None]) -> None:
        """Call `what` at that time."""
        self._order += 1
        heapq.heappush(self._timers, (time, self._order, what))

    def after(self, least: int, most: int, what: Callable[[], None]) -> None:
        """Call `what` in that many ms."""
        self.at(self.now + self.rng.randint(least, most), what)

    def pause(self, where: str, *, risk: int = 1) -> None:
        """Called by ports: let others go on. Raises Crash where the process dies, `risk` times as
        often as elsewhere."""
        if self._running is None:
            return
        self._running.risk = risk
        self.trace.append(f"{self.now} {self._running.name}: {where}")
        self._hub.switch()

    def sleep(self, milliseconds: int, where: str) -> None:
        """Called by ports that take time."""
        if self._running is not None:
            self._running.wake = self.now + milliseconds
            self.pause(where)

    def note(self, what: str) -> None:
        """A line of the trace that is no step."""
        self.trace.append(f"{self.now} * {what}")

    def run(self, poll: Callable[[], None]) -> None:
        """Until nothing is left to do. `poll` starts what event sources have to deliver.

        Raises NeverAtRestError."""
        for _ in range(LONGEST_RUN):
            self._ring()
            poll()
            awake = [task for task in self._tasks if task.wake <= self.now]
            if awake:
                self._step(self._picked(awake))
                if self.rng.random() < 0.2:
                    self.now += self.rng.randint(1, self.pace)
            elif not self._advance():
                return
        raise NeverAtRestError(f"not at rest after {LONGEST_RUN} steps: {self._tasks[:3]}")

    def _picked(self, awake: list[Task]) -> Task:
        while True:
            task = self.rng.choice(awake)
            if len(awake) == 1 or self.rng.random() < task.weight:
                return task

    def _ring(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()

    def _advance(self) -> bool:
        """Move time to when something happens; False when nothing will."""
        times = [task.wake for task in self._tasks]
        if self._timers:
            times.append(self._timers[0][0])
        if not times:
            return False
        self.now = max(self.now, min(times))
        return True

    def _step(self, task: Task) -> None:
        if task.deadline is not None and self.now > task.deadline:
            self._end(task, Crash("timed out"))
            return
        started = task.thread is not None
        if started and self.strikes(self.faults.crash * task.risk):
            self._end(task, Crash("crashed"))
            return
        if started and self.strikes(self.faults.pause):
            task.wake = self.now + self.rng.choice((200, 3_000, 20_000, 70_000))
            return
        if task.thread is None:
            task.thread = greenlet(task.body, parent=self._hub)
            task.began, task.since = self.now, self.order()
        self._running = task
        try:
            result = task.thread.switch()
        except (Exception, Crash) as error:
            self._tasks.remove(task)
            task.died(error)
            return
        finally:
            self._running = None
        if task.thread.dead:
            self._tasks.remove(task)
            task.done(result)

    def _end(self, task: Task, crash: Crash) -> None:
        """Kill a task where it stands."""
        self._tasks.remove(task)
        self.crashes += 1
        self.trace.append(f"{self.now} {task.name}: {crash}")
        if task.thread is not None:
            try:
                task.thread.throw(crash)
            except Crash:
                pass
            assert task.thread.dead, f"{task.name} survived its crash"
        task.died(crash)
