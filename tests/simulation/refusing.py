"""What makes a gate refuse, drawn from a seed: payments, opt-outs and suppressions at moments when
something is decided or on its way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from desireline.events import AliasType

HOUR = 3_600_000
STEPS = (0, 2_000, 30_000, 60_000, 10 * 60_000, 4 * HOUR, 24 * HOUR)
"""After a trial's start: when a playbook of this simulation may decide something."""
WAYS = (200, 3_000, 60_000, 2 * HOUR)
"""How long after that the message may be on its way, ms at most."""
OPT_OUTS = ("Email Unsubscribed", "Email Marked as Spam", "Email Bounced")


class Wish(StrEnum):
    """SUPPRESS and LIFT are an operator's commands, OBJECT is what a sender reports."""

    SUPPRESS = "suppress"
    LIFT = "lift"
    OBJECT = "object"


@dataclass(frozen=True)
class Order:
    """Of whom nothing is to be sent any more, or again. at: epoch ms."""

    at: int
    wish: Wish
    type: AliasType
    value: str


def moment(rng: random.Random, start: int) -> int:
    """A little before a decision, together with it, or while its message is on its way."""
    due = start + rng.choice(STEPS)
    return due + rng.choice((-1, 0, 1)) * rng.randint(0, 500) + rng.randint(0, rng.choice(WAYS))


def opts_out(rng: random.Random, start: int, send: Callable[[int, str], None]) -> None:
    """The person refuses email. send: takes the time and the event's name."""
    if rng.random() < 0.35:
        send(moment(rng, start), rng.choice(OPT_OUTS))


def orders(rng: random.Random, start: int, users: Sequence[str]) -> list[Order]:
    """Suppressions of one user, and at times what lifts them."""
    if rng.random() < 0.65:
        return []
    user = rng.choice(users)
    at = moment(rng, start)
    wish = rng.choice((Wish.SUPPRESS, Wish.OBJECT))
    drawn = [Order(at, wish, AliasType.USER, user)]
    if rng.random() < 0.3:
        later = at + rng.randint(1_000, rng.choice((60_000, 10 * HOUR)))
        drawn.append(Order(later, Wish.LIFT, AliasType.USER, user))
    return drawn
