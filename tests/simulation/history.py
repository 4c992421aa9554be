"""One seed: draw a scenario and faults, run, judge; shrink what fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.simulation.counting import COUNTING, Violation
from tests.simulation.deciding import DECIDING
from tests.simulation.faults import Faults
from tests.simulation.oracle import events_of, expected
from tests.simulation.scenario import Scenario, drawn
from tests.simulation.scheduler import NeverAtRestError
from tests.simulation.world import World

PROPERTIES = (*COUNTING, *DECIDING)


@dataclass(frozen=True)
class Case:
    """What a history is a function of."""

    seed: int
    scenario: Scenario
    faults: Faults

    @classmethod
    def of(cls, seed: int) -> Case:
        """The case of a seed."""
        rng = random.Random(f"case {seed}")
        scenario = drawn(rng)
        return cls(seed, scenario, Faults.drawn(rng))


def judge(case: Case) -> tuple[World, list[Violation]]:
    """Run the history; what breaks which property."""
    world = World(case.seed, case.scenario, case.faults)
    try:
        world.run()
    except NeverAtRestError as error:
        return world, [("never at rest", str(error))]
    truth = expected(events_of(case.scenario.posts))
    return world, [found for check in PROPERTIES for found in check(world, truth)]


def shrunk(case: Case, *, say: Callable[[str], None] = lambda _: None) -> Case:
    """A smaller case that breaks one of the same properties: fewer webhooks, fewer faults."""
    names = {name for name, _ in judge(case)[1]}

    def still(smaller: Case) -> bool:
        return bool(names & {name for name, _ in judge(smaller)[1]})

    progress = True
    while progress:
        progress = False
        for kind in case.faults.active():
            smaller = replace(case, faults=case.faults.without(kind))
            if still(smaller):
                case, progress = smaller, True
        size = max(1, len(case.scenario.posts) // 2)
        while size:
            start = 0
            while start < len(case.scenario.posts):
                posts = case.scenario.posts
                kept = posts[:start] + posts[start + size :]
                smaller = replace(case, scenario=replace(case.scenario, posts=kept))
                if still(smaller):
                    case, progress = smaller, True
                else:
                    start += size
            size //= 2
        say(f"{len(case.scenario.posts)} webhooks, faults: {', '.join(case.faults.active())}")
    return case
