"""Drive virtual time: deliver a company's webhooks in rounds, and advance the clock.

The same rounds drive the running cloud and the in-memory pipeline. So both get the same events at
the same journey times, and must make the same decisions. A round has at most one delivery per
subject, and none after the next due time. Each round starts when the world is at rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from desireline_learning.simulator.traffic import Delivery

HOUR = 3_600_000


class World(Protocol):
    """The driven system: the local cloud, or the use cases in memory. Times are epoch ms."""

    def post(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver these webhooks, in any order or at once."""
        ...

    def settle(self) -> None:
        """Return when the world is at rest: every topic is read, and every execution waits."""
        ...

    def next_due(self) -> int | None:
        """Return the earliest time for which an execution waits, or None."""
        ...

    def advance(self, to: int) -> None:
        """Advance the journey clock; it never goes back."""
        ...


@dataclass(frozen=True, slots=True)
class DriveProgress:
    """The progress of a drive. now: journey time, epoch ms."""

    now: int
    delivered: int
    total: int
    rounds: int


def drive(
    world: World,
    deliveries: Iterable[Delivery],
    *,
    until: int,
    window: int = 3 * HOUR,
    report: Callable[[DriveProgress], None] = lambda _: None,
) -> DriveProgress:
    """Deliver all webhooks, and run every check that is due by `until`.

    window: the longest span of journey time of one round. It must be shorter than the shortest wait
    of a playbook. Else a check could be due in the same round that starts it.
    """
    waiting = deque(sorted(deliveries, key=lambda d: (d.at, d.subject)))
    progress = DriveProgress(waiting[0].at if waiting else 0, 0, len(waiting), 0)
    while True:
        due = world.next_due()
        at = _next(waiting, due, until)
        if at is None:
            return progress
        if waiting and waiting[0].at <= (due if due is not None else waiting[0].at):
            batch = _take_round(waiting, min(waiting[0].at + window, due or until))
            at = max(delivery.at for delivery in batch)
            world.advance(at)
            world.post(batch)
            done = progress.delivered + len(batch)
        else:
            world.advance(at)
            done = progress.delivered
        world.settle()
        progress = DriveProgress(at, done, progress.total, progress.rounds + 1)
        report(progress)


def _next(waiting: deque[Delivery], due: int | None, until: int) -> int | None:
    """Return the time of the next delivery or check; None if none is left until `until`."""
    if waiting:
        return waiting[0].at if due is None else min(waiting[0].at, due)
    return due if due is not None and due <= until else None


def _take_round(waiting: deque[Delivery], limit: int) -> list[Delivery]:
    """Remove and return the first delivery of each subject up to `limit`. Others stay in order."""
    first: dict[str, Delivery] = {}
    left: list[Delivery] = []
    while waiting and waiting[0].at <= limit:
        delivery = waiting.popleft()
        if delivery.subject in first:
            left.append(delivery)
        else:
            first[delivery.subject] = delivery
    waiting.extendleft(reversed(left))
    return list(first.values())
