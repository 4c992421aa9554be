"""The driver of virtual time: delivers a company's webhooks in rounds and moves the clock.

The same rounds drive the running cloud and the in-memory pipeline, so that both see the same
events at the same journey times and must decide the same. A round holds deliveries of distinct
subjects, one each, none past the next due time; between rounds the world comes to rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

HOUR = 3_600_000


class Delivery(Protocol):
    """One webhook that a sender delivers. `at`: journey time; `subject`: whose journey it is."""

    @property
    def at(self) -> int: ...
    @property
    def subject(self) -> str: ...


class World(Protocol):
    """What is driven: the local cloud, or the use cases in memory. Times in epoch milliseconds."""

    def post(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver these webhooks, in any order or at once."""
        ...

    def settle(self) -> None:
        """Return when nothing is in flight: every topic read, every execution waiting."""
        ...

    def next_due(self) -> int | None:
        """The earliest time that an execution waits for, or None."""
        ...

    def advance(self, to: int) -> None:
        """Move the journey clock; it never goes back."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a drive has come."""

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
    report: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Deliver everything and let every check up to `until` happen.

    window: the longest span of journey time that one round may cover. It must be shorter than the
    shortest wait of a playbook, or a check could fall due inside the round that starts it.
    """
    waiting = deque(sorted(deliveries, key=lambda d: (d.at, d.subject)))
    progress = Progress(waiting[0].at if waiting else 0, 0, len(waiting), 0)
    while True:
        due = world.next_due()
        at = _next(waiting, due, until)
        if at is None:
            return progress
        if waiting and waiting[0].at <= (due if due is not None else waiting[0].at):
            taken = _take_round(waiting, min(waiting[0].at + window, due or until))
            at = max(delivery.at for delivery in taken)
            world.advance(at)
            world.post(taken)
            done = progress.delivered + len(taken)
        else:
            world.advance(at)
            done = progress.delivered
        world.settle()
        progress = Progress(at, done, progress.total, progress.rounds + 1)
        report(progress)


def _next(waiting: deque[Delivery], due: int | None, until: int) -> int | None:
    """When something happens next, or None when all is delivered and nothing is due in time."""
    if waiting:
        return waiting[0].at if due is None else min(waiting[0].at, due)
    return due if due is not None and due <= until else None


def _take_round(waiting: deque[Delivery], limit: int) -> list[Delivery]:
    """The first delivery of each subject up to `limit`; a subject's later ones stay in order."""
    taken: dict[str, Delivery] = {}
    left: list[Delivery] = []
    while waiting and waiting[0].at <= limit:
        delivery = waiting.popleft()
        if delivery.subject in taken:
            left.append(delivery)
        else:
            taken[delivery.subject] = delivery
    waiting.extendleft(reversed(left))
    return list(taken.values())
