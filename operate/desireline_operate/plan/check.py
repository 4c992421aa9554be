"""Is the plan right, and does its version say what changed?"""

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
from desireline_operate.plan.releases import Past, latest, past
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
    """problems: none of a plan that is right. since: what it was compared with, if it could be."""

    problems: tuple[Problem, ...]
    plan: TrackingPlan | None = None
    since: Past | None = None
    changes: tuple[Change, ...] = ()


def check(
    folder: Path = PLAN,
    *,
    against: str | None = None,
    senders: Mapping[str, Sender] | None = None,
    playbooks: Path = PROJECT / "playbooks",
    sources: Iterable[Path] = SOURCES,
) -> Report:
    """Look at the plan, at what relies on it, and at what changed.

    against: a folder, a released version or a revision of git; without, the last release. Raises
    NoPlanError where that is none."""
    draft = read_draft(folder)
    found = [
        *draft.problems,
        *rules.problems(draft, load_senders(MODULES) if senders is None else senders),
    ]
    shown = folder.relative_to(PROJECT) if folder.is_relative_to(PROJECT) else folder
    found = [replace(one, file=str(shown / one.file)) for one in found]
    found += uses.problems(draft, playbooks=playbooks, sources=sources, top=PROJECT)
    if found:
        return Report(tuple(sorted(found)))
    plan = load_plan(folder)
    since = past(folder, against) if against else latest(folder)
    if since is None:
        return Report((), plan)
    changed = changes.changes(since.plan, plan)
    low = _too_low(draft, since, changed)
    low = [replace(one, file=str(shown / one.file)) for one in low]
    return Report(tuple(low), plan, since, tuple(changed))


def _too_low(draft: Draft, since: Past, changed: list[Change]) -> list[Problem]:
    """Whether the version says less than the changes ask for."""
    was, now = Version.parse(since.plan.version), Version.parse(draft.version)
    if was is None or now is None:
        return []
    level = changes.asked(changed)
    least = was if level is None else was.raised(level)
    if now >= least:
        return []
    breaking = sum(change.breaking for change in changed)
    why = f"{breaking} of {len(changed)} changes since {was} break" if changed else f"{was} is out"
    return [draft.version_spot.problem(f"version {now} is too low: {why}; write {least} or more")]
