"""Choose the next step of a run, and a step's branch, with pure functions.

The enrolment's row stores the branches of the decided steps. So a check needs no input other than
the enrolment, and a repeated check finds its step decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from desireline.intervene.playbook.conditions import Circumstances, judge
from desireline.intervene.playbook.playbooks import Branch, Playbook, Step

SKIPPED = "skipped"
"""The branch that is stored for a step whose `only_if` does not hold."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step, or None after the last one. skipped: steps before it whose `only_if` fails."""

    step: Step | None
    skipped: tuple[Step, ...] = ()


def next_step(playbook: Playbook, branches: Mapping[str, str]) -> Next:
    """Return the first undecided step whose `only_if` holds. branches: by decided step."""
    skipped: list[Step] = []
    for step in playbook.steps:
        if step.name in branches:
            continue
        condition = step.only_if
        if condition is None or branches.get(condition.step) in condition.took:
            return Next(step, tuple(skipped))
        skipped.append(step)
    return Next(None, tuple(skipped))


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen branch. evidence: as in `Judgement`, of all conditions that were evaluated.
    on_absence: whether the choice depends on an event that did not occur."""

    branch: Branch
    evidence: Mapping[str, int | None]
    on_absence: bool


def choose(step: Step, of: Circumstances) -> Choice:
    """Return the first branch whose condition holds. The last branch has no condition."""
    evidence: dict[str, int | None] = {}
    on_absence = False
    for branch in step.all_branches():
        if branch.when is None:
            return Choice(branch, evidence, on_absence)
        judgement = judge(branch.when, of)
        evidence.update(judgement.evidence)
        on_absence = on_absence or judgement.on_absence
        if judgement.holds:
            return Choice(branch, evidence, judgement.on_absence)
    raise AssertionError(
        f"step {step.name} has no branch without a condition, which validation rejects"
    )
