"""Which step comes next: a pure function of the playbook and of the branches taken so far.

The enrolment's row is the cursor: a check needs no input but the enrolment, and a repeated check
finds its step decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from desireline.intervene.playbook.conditions import Circumstances, judge
from desireline.intervene.playbook.playbooks import Branch, Playbook, Step

SKIPPED = "skipped"
"""What is remembered of a step whose `only_if` does not hold."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step to decide, None if there is none left, and those passed over on the way."""

    step: Step | None
    skipped: tuple[Step, ...] = ()


def next_step(playbook: Playbook, branches: Mapping[str, str]) -> Next:
    """The first step that is undecided and whose `only_if` holds."""
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
    """The branch taken; evidence: what was looked at, by name; on_absence: the choice rests on
    something that has not happened."""

    branch: Branch
    evidence: Mapping[str, int | None]
    on_absence: bool


def choose(step: Step, of: Circumstances) -> Choice:
    """The first branch whose condition holds; the last one has none."""
    evidence: dict[str, int | None] = {}
    on_absence = False
    for branch in step.ways():
        if branch.when is None:
            return Choice(branch, evidence, on_absence)
        judgement = judge(branch.when, of)
        evidence.update(judgement.evidence)
        on_absence = on_absence or judgement.on_absence
        if judgement.holds:
            return Choice(branch, evidence, judgement.on_absence)
    raise AssertionError(f"step {step.name} has no last branch, which validation demands")
