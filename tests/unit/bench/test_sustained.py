"""When a rate counts as held, and how the highest one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bench.load import Loaded
from bench.sustained import LOWER, MINUTE, NEAR, Search, saturation


def loaded(
    *, rate: int = 50, seconds: float = 1.0, lag: tuple[int, ...] = (), late: float = 0.0,
    whole: bool = True, alerts: int = 40,
) -> Loaded:  # fmt: skip
    stamps = {"received": 0, "delivered": round(seconds * 1000)}
    return Loaded(rate=rate, copies=40, stamps=(stamps,) * alerts, lag=lag, late=late, whole=whole)


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (loaded(), True),
        (loaded(seconds=5.1), False),
        (loaded(late=2.5), False),
        (loaded(whole=False), False),
        (loaded(alerts=20), False),
        (loaded(alerts=0), False),
        (loaded(lag=(0, 0, 40, 40, 80, 80)), True),
        (loaded(lag=(0, 0, 40, 40, 100, 100)), False),
        (loaded(lag=(200, 200, 100, 100, 10, 10)), True),
    ],
    ids=["good", "slow", "senders wait", "broken off", "half of the alerts", "none", "wavers",
         "grows", "falls"],
)  # fmt: skip
def test_a_rate_is_held_if_all_keep_up(found: Loaded, held: bool) -> None:
    assert found.held is held


@dataclass
class Machine:
    """Holds what its rule says of a rate and how long it lasts."""

    holds: Callable[[int, int], bool]
    asked: list[tuple[int, int]] = field(default_factory=list)

    def run(self, *, rate: int, batch: int, seconds: int, copies: int) -> Loaded:
        self.asked.append((rate, seconds))
        return loaded(rate=rate, seconds=1.0 if self.holds(rate, seconds) else 9.0)


def highest(machine: Machine, guess: int = 50) -> int:
    return Search(machine, 1).highest(guess)  # type: ignore[arg-type]


@pytest.mark.parametrize("capacity", [3, 29, 50, 137, 1_000])
def test_the_highest_rate_is_found_nearly(capacity: int) -> None:
    machine = Machine(lambda rate, _: rate <= capacity)

    found = highest(machine)

    assert capacity / NEAR - 1 <= found <= capacity
    assert machine.asked[-1] == (found, MINUTE)


def test_what_is_held_for_a_moment_only_gives_way_to_less() -> None:
    machine = Machine(lambda rate, seconds: rate <= (100 if seconds < MINUTE else 70))

    found = highest(machine)

    assert 70 * LOWER - 1 <= found <= 70


def test_the_lowest_rate_that_is_not_held_says_what_saturates() -> None:
    machine = Machine(lambda rate, _: rate <= 50)
    search = Search(machine, 1)  # type: ignore[arg-type]

    search.highest(50)

    lowest = min(rate for rate, _ in machine.asked if rate > 50)
    assert search.saturates == f"at {lowest}/s: alerts take 9.0 s at p99"


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (loaded(late=2.5, seconds=9.0), "senders wait 2.5 s for the API"),
        (loaded(whole=False, lag=(3, 900)), "900 records wait for the consumers"),
        (loaded(lag=(0, 0, 40, 40, 100, 100)), "100 records wait for the consumers"),
    ],
    ids=["senders", "broken off", "lag"],
)
def test_what_gives_way_first_is_named(load: Loaded, reason: str) -> None:
    assert saturation(load) == reason


def test_a_machine_that_holds_nothing_holds_0() -> None:
    assert highest(Machine(lambda *_: False)) == 0
