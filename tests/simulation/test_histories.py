"""The real use cases in hundreds of seeded histories of crashes, repeats, races and merges.

A seed that fails is shrunk; replay it with `python -m tests.simulation.replay SEED`.
"""

from __future__ import annotations

import pytest

from tests.simulation.history import Case, judge, shrunk, told

SEEDS = 225
MANY = range(SEEDS, 5_000)
AT_ONCE = 40


def _hold(seed: int) -> None:
    case = Case.of(seed)
    _, violations = judge(case)
    if violations:
        smaller = shrunk(case, budget_seconds=60)
        lines = [f"{name}: {what}" for name, what in dict.fromkeys(judge(smaller)[1] or violations)]
        pytest.fail("\n".join([*lines, told(smaller)]), pytrace=False)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_property_holds_in_the_history_of(seed: int) -> None:
    _hold(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(MANY.start, MANY.stop, AT_ONCE))
def test_every_property_holds_in_more_histories_from(first: int) -> None:
    for seed in range(first, min(first + AT_ONCE, MANY.stop)):
        _hold(seed)
