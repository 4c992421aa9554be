"""Streams, the channel's queue, the provider, and executions of the state machine."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desireline.errors import (
    DesirelineError,
    RetryableError,
    TerminalError,
    ThrottledError,
    UnavailableError,
)
from desireline.events import ClaimReference
from desireline.intervene.check_playbook import CheckResult
from desireline.ports import Alert
from desireline.rows import Change
from tests.simulation.processes import Function
from tests.simulation.scheduler import Scheduler
from tests.simulation.tables import Tables

MINUTE = 60_000
PUBLISH_MS = 60_000
CHECK_MS = 60_000
DELIVER_MS = 60_000
READ_TIMEOUT_MS = 7_000
VISIBILITY_MS = 6 * DELIVER_MS
RECEIVES = 6
LATE_MS = 12 * 60 * MINUTE


class Streams:
    """The tables' streams to publish_changes: in order for each key, from where it failed, and
    never past a change that was not announced."""

    def __init__(self, scheduler: Scheduler, function: Function, shards: int) -> None:
        self._scheduler = scheduler
        self._function = function
        self._shards: list[list[Change]] = [[] for _ in range(shards)]
        self._at = [0] * shards
        self._busy = [False] * shards

    def add(self, change: Change) -> None:
        """A change that was committed."""
        row = change.new or change.old
        assert row is not None
        place = zlib.crc32(f"{row.pk}{row.sk}".encode()) % len(self._shards)
        self._shards[place].append(change)

    def poll(self) -> None:
        """Deliver what can be delivered."""
        for number, shard in enumerate(self._shards):
            if not self._busy[number] and self._at[number] < len(shard):
                self._busy[number] = True
                self._deliver(number)

    def _deliver(self, number: int) -> None:
        scheduler = self._scheduler
        start = self._at[number]
        changes = self._shards[number][start : start + scheduler.rng.randint(1, 8)]

        def later(_: BaseException) -> None:
            scheduler.after(50, 2_000, lambda: self._free(number))

        def done(failed: str | None) -> None:
            if failed is not None:
                ids = [change.id for change in changes]
                self._at[number] = start + ids.index(failed)
                later(Exception())
                return
            if not scheduler.strikes(scheduler.faults.again):
                self._at[number] = start + len(changes)
            self._free(number)

        name = f"publish[{number}@{start}+{len(changes)}]"
        self._function.invoke(
            name, lambda publish: publish(changes), done=done, died=later, timeout=PUBLISH_MS
        )

    def _free(self, number: int) -> None:
        self._busy[number] = False


@dataclass(eq=False)
class _Message:
    body: str
    visible_at: int
    receives: int = 0


class ChannelQueue:
    """The Queue port and its mapping to deliver_action: at least once, after a time again, at last
    to the dead letters, which somebody redrives."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._messages: list[_Message] = []
        self.dead = 0
        self.bodies: list[str] = []

    def connect(self, function: Function) -> None:
        """The function that takes the messages."""
        self._function = function

    def put(self, body: str) -> None:
        scheduler = self._scheduler
        scheduler.pause("queue")
        if scheduler.strikes(scheduler.faults.throttle):
            raise ThrottledError("slow down")
        self._add(body)
        if scheduler.strikes(scheduler.faults.again):
            self._add(body)
        if scheduler.strikes(scheduler.faults.unavailable):
            raise UnavailableError("no answer")
        scheduler.pause("queued")

    def _add(self, body: str) -> None:
        """The queue takes its time."""
        rng = self._scheduler.rng
        visible_at = self._scheduler.now + rng.choice((0, 20, rng.randint(0, 120_000)))
        if self._scheduler.strikes(self._scheduler.faults.late):
            visible_at += rng.randint(0, LATE_MS)
        self._messages.append(_Message(body, visible_at))
        self.bodies.append(body)
        self._scheduler.at(visible_at, lambda: None)

    def poll(self) -> None:
        """Deliver what is visible."""
        for message in list(self._messages):
            if message.visible_at <= self._scheduler.now:
                self._receive(message)

    def _receive(self, message: _Message) -> None:
        scheduler = self._scheduler
        message.receives += 1
        if message.receives > RECEIVES:
            self._messages.remove(message)
            self.dead += 1
            scheduler.after(MINUTE, 60 * MINUTE, lambda: self._add(message.body))
            return
        message.visible_at = scheduler.now + VISIBILITY_MS
        scheduler.at(message.visible_at, lambda: None)
        reference = ClaimReference.decode(message.body.encode())
        deadline = scheduler.now + DELIVER_MS

        def body(deliver: Any) -> bool:
            scheduler.current.notes["claim"] = reference
            try:
                deliver(reference, lambda: deadline - scheduler.now)
            except DesirelineError as error:
                scheduler.note(f"left in the queue: {error}")
                return False
            return True

        def done(handled: bool) -> None:
            again = scheduler.strikes(scheduler.faults.again)
            if handled and not again and message in self._messages:
                self._messages.remove(message)

        name = f"deliver[{reference.step} {reference.action} of {reference.subject}]"
        for _ in range(1 + scheduler.strikes(scheduler.faults.copies)):
            self._function.invoke(name, body, done=done, died=lambda _: None, timeout=DELIVER_MS)


@dataclass(frozen=True)
class Accepted:
    """An alert that the provider took. step: its place among all that happened. began, since: the
    time and the place at which the invocation that sent it ran its first step."""

    step: int
    at: int
    began: int
    since: int
    claim: ClaimReference
    alert: Alert


class Provider:
    """The ChannelSender port: it may throttle, refuse, or leave its caller without an answer."""

    def __init__(self, scheduler: Scheduler, tables: Tables) -> None:
        self._scheduler = scheduler
        self._tables = tables
        self.accepted: list[Accepted] = []

    def send(self, alert: Alert) -> str:
        scheduler = self._scheduler
        claim = scheduler.current.notes["claim"]
        scheduler.pause("send")
        kind = "accept"
        if scheduler.strikes(scheduler.faults.answer):
            kind = scheduler.rng.choice(("throttle", "refuse", "lost", "unheard", "unheard"))
        if kind == "throttle":
            raise ThrottledError("slow down")
        if kind == "refuse":
            raise TerminalError("InvalidParameter")
        if kind != "lost":
            step, by = self._tables.tick(), scheduler.current
            self.accepted.append(Accepted(step, scheduler.now, by.began, by.since, claim, alert))
            scheduler.note(f"the provider accepts {claim.step} {claim.action}")
        if kind != "accept":
            scheduler.sleep(READ_TIMEOUT_MS, "no answer from the provider")
            raise UnavailableError("read timed out")
        scheduler.pause("sent")
        return f"m{len(self.accepted)}"


class Executions:
    """The Workflow port and the state machine run-playbook: check, wait, check again."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.states: dict[str, str] = {}
        self.inputs: list[tuple[str, Mapping[str, Any]]] = []
        self.failures: list[str] = []

    def connect(self, function: Function) -> None:
        """The function that checks."""
        self._function = function

    def start(self, *, name: str, payload: Mapping[str, Any]) -> None:
        scheduler = self._scheduler
        scheduler.pause(f"start {name}")
        if scheduler.strikes(scheduler.faults.throttle):
            raise ThrottledError("slow down")
        enrolment = payload["enrolment"]
        self.inputs.append((name, payload))
        if enrolment not in self.states:
            self.states[enrolment] = "running"
            scheduler.at(scheduler.now, lambda: self._check(enrolment, 0))
        if scheduler.strikes(scheduler.faults.unavailable):
            raise UnavailableError("no answer")
        scheduler.pause("started")

    def _check(self, enrolment: str, attempt: int) -> None:
        scheduler = self._scheduler

        def done(result: CheckResult) -> None:
            if result.done:
                self.states[enrolment] = "ended"
                return
            assert result.due is not None
            # The workflow wakes at whole seconds, at or after the time that it was given.
            wakes = max(result.due, scheduler.now)
            if scheduler.strikes(scheduler.faults.late):
                wakes += scheduler.rng.randint(0, LATE_MS)
            scheduler.at(wakes, lambda: self._check(enrolment, 0))

        def died(error: BaseException) -> None:
            if isinstance(error, Exception) and not isinstance(error, RetryableError):
                self.states[enrolment] = "failed"
                self.failures.append(f"{enrolment}: {error!r}")
                return
            pause = min(300_000, 1_000 * 2**attempt)
            scheduler.after(1, pause, lambda: self._check(enrolment, attempt + 1))

        name = f"check[{enrolment[:8]}]"
        self._invoke(name, enrolment, done, died)
        if scheduler.strikes(scheduler.faults.copies):
            self._invoke(f"{name} again", enrolment, lambda _: None, lambda _: None)

    def _invoke(self, name: str, enrolment: str, done: Any, died: Any) -> None:
        self._function.invoke(
            name, lambda check: check(enrolment), done=done, died=died, timeout=CHECK_MS
        )
