"""How often what goes wrong: rates for each call or delivery, drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Faults:
    """crash: a process dies at a step. pause: it stands still at a step, up to longer than its
    function may run. copies: a second invocation of the same delivery runs at the same time.
    again: what was handled is delivered once more. throttle, unavailable, conflict: of a call of
    the store; unavailable leaves open whether it acted. kafka: a flush fails or loses the process'
    records. poison: a record kills every process of one consumer until it is redriven. grow: a
    topic gets more partitions. sender: a webhook is sent twice. answer: the provider throttles,
    refuses, or times out, having acted or not. replay: somebody replays all raw webhooks that there
    are, while everything else goes on. switch: operators turn sending on and off, and kill. late: a
    message of a channel's queue, or a wait of the workflow, ends up to twelve hours late.
    """

    crash: float = 0.0
    pause: float = 0.0
    copies: float = 0.0
    again: float = 0.0
    throttle: float = 0.0
    unavailable: float = 0.0
    conflict: float = 0.0
    kafka: float = 0.0
    poison: float = 0.0
    grow: float = 0.0
    sender: float = 0.0
    answer: float = 0.0
    replay: float = 0.0
    switch: float = 0.0
    late: float = 0.0

    @classmethod
    def drawn(cls, rng: random.Random) -> Faults:
        """Some seeds have few faults, so that races alone show; some have all."""
        return cls(
            crash=rng.choice((0, 0.003, 0.01, 0.03)),
            pause=rng.choice((0, 0.002, 0.01, 0.03)),
            copies=rng.choice((0, 0.05, 0.2)),
            again=rng.choice((0, 0.05, 0.2)),
            throttle=rng.choice((0, 0.01, 0.03)),
            unavailable=rng.choice((0, 0.005, 0.02)),
            conflict=rng.choice((0, 0.01, 0.05)),
            kafka=rng.choice((0, 0.02, 0.1)),
            poison=rng.choice((0, 0.02, 0.08)),
            grow=rng.choice((0, 1)),
            sender=rng.choice((0, 0.1, 0.3)),
            answer=rng.choice((0, 0.2, 0.5)),
            replay=rng.choice((0, 1)),
            switch=rng.choice((0, 0, 1)),
            late=rng.choice((0, 0, 0.05, 0.2)),
        )

    def without(self, name: str) -> Faults:
        """The same without one kind."""
        return replace(self, **{name: 0.0})

    def active(self) -> list[str]:
        """The kinds that happen."""
        return [one.name for one in fields(self) if getattr(self, one.name)]
