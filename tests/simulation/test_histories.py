"""Seeded histories of the real use cases: whatever is interleaved, crashes, repeats or reorders,
every property holds. A seed that fails is run again by `python -m tests.simulation.replay SEED`."""

from __future__ import annotations

import pytest

from tests.simulation.history import Case, judge
from tests.simulation.mutations import MUTATIONS, Mutation

SEEDS = 300
MANY_SEEDS = 3_000
A_PORTION = 50


def _broken(first: int, count: int) -> list[str]:
    return [
        f"seed {seed}: {name}: {found} (python -m tests.simulation.replay {seed})"
        for seed in range(first, first + count)
        for name, found in judge(Case.of(seed))[1]
    ]


@pytest.mark.parametrize("first", range(0, SEEDS, A_PORTION))
def test_every_property_holds(first: int) -> None:
    assert _broken(first, A_PORTION) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS, MANY_SEEDS, A_PORTION))
def test_every_property_holds_in_thousands_of_histories(first: int) -> None:
    assert _broken(first, A_PORTION) == []


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_each_rule_broken_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.apply(monkeypatch)

    assert any(judge(Case.of(seed))[1] for seed in range(MANY_SEEDS))
