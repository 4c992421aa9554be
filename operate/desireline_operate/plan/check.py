"""Check a plan: its content, the code that relies on it, and its version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline.receive.senders import MODULES, load_senders
from desireline.receive.senders.sender import Sender
from desireline_operate.paths import PROJECT
from desireline_operate.plan import changes, rules, uses
from desireline_operate.plan.changes import Change
from desireline_operate.plan.draft import Draft, read_draft
from desireline_operate.plan.locations import Problem
from desireline_operate.plan.releases import NamedPlan, find_plan, latest
from desireline_operate.plan.versions import Version

PLAN = PROJECT / "tracking_plan"
SOURCES = (
    PROJECT / "layers" / "desireline",
    PROJECT / "learning",
    PROJECT / "local",
    PROJECT / "operate",
    PROJECT / "warehouse",
)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check. problems: empty if the plan is correct. since: the plan with which it
    was compared, if one exists."""

    problems: tuple[Problem, ...]
    plan: TrackingPlan | None = None
    since: NamedPlan | None = None
    changes: tuple[Change, ...] = ()


def check(
    folder: Path = PLAN,
    *,
    against: str | None = None,
    senders: Mapping[str, Sender] | None = None,
    playbooks: Path = PROJECT / "playbooks",
    sources: Iterable[Path] = SOURCES,
) -> Report:
    """Check the plan, the code that relies on it, and the changes since another plan.

    against: a folder, a released version or a git revision; default: the last release. Raises
    NoPlanError if `against` names no plan."""
    draft = read_draft(folder)
    problems = [
        *draft.problems,
        *rules.problems(draft, load_senders(MODULES) if senders is None else senders),
    ]
    path = folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder
    problems = [replace(problem, file=str(path / problem.file)) for problem in problems]
    problems += uses.problems(draft, playbooks=playbooks, sources=sources, top=PROJECT)
    if problems:
        return Report(tuple(sorted(problems)))
    plan = load_plan(folder)
    since = find_plan(folder, against) if against else latest(folder)
    if since is None:
        return Report((), plan)
    changed = changes.changes(since.plan, plan)
    low = _too_low(draft, since, changed)
    low = [replace(problem, file=str(path / problem.file)) for problem in low]
    return Report(tuple(low), plan, since, tuple(changed))


def _too_low(draft: Draft, since: NamedPlan, changed: list[Change]) -> list[Problem]:
    """Return a problem if the version is lower than the changes require."""
    was, now = Version.parse(since.plan.version), Version.parse(draft.version)
    if was is None or now is None:
        return []
    level = changes.required_level(changed)
    least = was if level is None else was.raised(level)
    if now >= least:
        return []
    breaking = sum(change.breaking for change in changed)
    why = f"{breaking} of {len(changed)} changes since {was} break" if changed else f"{was} is out"
    return [draft.version_spot.problem(f"version {now} is too low: {why}; write {least} or more")]
