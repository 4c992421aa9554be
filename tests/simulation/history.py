"""One seed: draw a scenario and faults, run, judge; shrink what fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.simulation.counting import COUNTING, Violation
from tests.simulation.deciding import DECIDING
from tests.simulation.faults import Faults
from tests.simulation.gates import GATES
from tests.simulation.oracle import events_of, expected
from tests.simulation.scenario import Scenario, drawn
from tests.simulation.scheduler import NeverAtRestError
from tests.simulation.standing import STANDING
from tests.simulation.timely import TIMELY
from tests.simulation.world import World

PROPERTIES = (*COUNTING, *DECIDING, *TIMELY, *GATES, *STANDING)


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
        scenario = drawn(rng, random.Random(f"more {seed}"))
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


def shrunk(
    case: Case, *, say: Callable[[str], None] = lambda _: None, budget_seconds: float = 600
) -> Case:
    """A smaller case that breaks one of the same properties: fewer faults, then fewer webhooks."""
    names = {name for name, _ in judge(case)[1]}
    until = time.monotonic() + budget_seconds

    def still(smaller: Case) -> bool:
        if time.monotonic() > until:
            return False
        return bool(names & {name for name, _ in judge(smaller)[1]})

    before = None
    while case != before:
        before = case
        case = _fewer_orders(_fewer_posts(_fewer_faults(case, still), still), still)
        say(f"{len(case.scenario.posts)} webhooks, faults: {', '.join(case.faults.active())}")
    return case


def _fewer_faults(case: Case, still: Callable[[Case], bool]) -> Case:
    for kind in case.faults.active():
        smaller = replace(case, faults=case.faults.without(kind))
        case = smaller if still(smaller) else case
    return case


def _fewer_orders(case: Case, still: Callable[[Case], bool]) -> Case:
    for order in case.scenario.orders:
        left = tuple(one for one in case.scenario.orders if one is not order)
        smaller = replace(case, scenario=replace(case.scenario, orders=left))
        case = smaller if still(smaller) else case
    return case


def _fewer_posts(case: Case, still: Callable[[Case], bool]) -> Case:
    """Leave out halves, quarters and so on down to single ones."""
    size = max(1, len(case.scenario.posts) // 2)
    while size:
        start = 0
        while start < len(case.scenario.posts):
            posts = case.scenario.posts
            kept = posts[:start] + posts[start + size :]
            smaller = replace(case, scenario=replace(case.scenario, posts=kept))
            if still(smaller):
                case = smaller
            else:
                start += size
        size //= 2
    return case


def told(case: Case) -> str:
    """The case in words, and how to see it again."""
    posts = [f"  {post.at} {post.source} {post.body.decode()}" for post in case.scenario.posts]
    orders = [f"  {one.at} {one.wish} {one.type}:{one.value}" for one in case.scenario.orders]
    faults = ", ".join(f"{name} {getattr(case.faults, name)}" for name in case.faults.active())
    again = f"replay: python -m tests.simulation.replay {case.seed}"
    return "\n".join([*posts, *orders, f"faults: {faults or 'none'}", again])
