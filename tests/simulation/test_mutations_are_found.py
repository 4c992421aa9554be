"""Each rule is broken once, and some history shows it: else the properties would prove nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.history import judge
from tests.simulation.mutations import Mutation
from tests.simulation.mutations_of_time import ALL

TRIES = 2_500
PAGE = Path(__file__).parents[2] / "docs" / "delivery.md"
SECTION = re.compile(r"^## Delivery rule (\d+): ", re.MULTILINE)
LISTED = re.compile(r"^- \*\*Mutations\*\*: (.*)$", re.MULTILINE)
QUICK = frozenset(
    {
        "counted ids are forgotten",
        "records are acknowledged before the flush",
        "what is being sent is sent again",
        "merges are not announced",
        "who refused is not left alone",
    }
)
"""Found in the first histories, so every `make test` shows that the properties can fail."""


def _found_at(mutation: Mutation, tries: int) -> tuple[int, list[str]] | None:
    """The first seed whose history shows it, and by which properties."""
    with pytest.MonkeyPatch.context() as patch:
        mutation.apply(patch)
        for seed in range(tries):
            violations = judge(mutation.case(seed))[1]
            if violations:
                return seed, sorted({name for name, _ in violations})
    return None


@pytest.mark.parametrize(
    "mutation", [one for one in ALL if one.name in QUICK], ids=lambda one: one.name
)
def test_a_broken_rule_is_found_at_once(mutation: Mutation) -> None:
    assert _found_at(mutation, 20)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ALL, ids=lambda one: one.name)
def test_every_broken_rule_is_found(mutation: Mutation) -> None:
    assert _found_at(mutation, TRIES), f"rule {mutation.rule}: {mutation.name}: nothing noticed it"


def test_every_mutation_is_listed_under_its_delivery_rule() -> None:
    expected: dict[str, list[str]] = {}
    for mutation in ALL:
        expected.setdefault(mutation.rule, []).append(mutation.name)
    _, *sections = SECTION.split(PAGE.read_text())
    listed = {
        rule: names[0].split("; ")
        for rule, text in zip(sections[::2], sections[1::2], strict=True)
        if (names := LISTED.findall(text))
    }
    assert listed == expected
