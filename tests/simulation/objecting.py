"""What each gate must say of an action, by an oracle of its own.

A check reads row by row, between its invocation's first step (`since`) and its transaction. What
held all that time objects for certain; what held at some time of it may have been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from desireline.intervene.playbook.conditions import event_names
from desireline.intervene.playbook.playbooks import Action, Audience, Playbook, Step
from desireline.rows import (
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    PersonRow,
    StateRow,
    SubjectRow,
    SuppressionRow,
)
from tests.simulation.releases import LIVE, version_of
from tests.simulation.switches import FRESH
from tests.simulation.tables import Written
from tests.simulation.timeline import Timeline
from tests.simulation.world import World

PAID, LEFT = "trial_to_paid_conversion", "subscription_cancelled"
REFUSALS_OF_EMAIL = ("email_unsubscribed", "email_marked_spam", "email_bounced")
PERSONAL = frozenset({"email", "in_app", "crm"})
NOT_RECEIVED = frozenset({ClaimState.CANCELLED, ClaimState.EXPIRED})


class Objection(NamedTuple):
    """certain: the gate must object, if none before it does. possible: it may."""

    certain: bool
    possible: bool


NONE = Objection(False, False)


@dataclass(frozen=True)
class Decided:
    """One action that a check decided on. due: journey time of its step."""

    world: World
    timeline: Timeline
    written: Written
    row: DecisionRow
    playbook: Playbook
    step: Step
    action: Action
    due: int

    @property
    def since(self) -> int:
        """The step at which the check had read nothing yet."""
        return self.written.since

    @property
    def before(self) -> int:
        """The last step before the check's transaction."""
        return self.written.step - 1

    def of_subject(self, target: str) -> Objection:
        """Whether a fragment or an account belonged to the decision's subject meanwhile."""
        subject, lines = self.row.subject, self.timeline
        first = lines.root(lines.subject_of(target, self.since), self.before) == subject
        last = lines.subject_of(target, self.before) == subject
        return Objection(first and last, first or last)


def decided(world: World, timeline: Timeline, written: Written, row: DecisionRow) -> Decided | None:
    """The decision with what it was about; None where its run's version has no such action."""
    enrolment = timeline.at(EnrolmentRow.ref_to(row.enrolment), written.step)
    assert enrolment is not None
    playbook = version_of(row)
    pairs = ((step, action) for step in playbook.steps for action in step.all_actions())
    named = (pair for pair in pairs if (pair[0].name, pair[1].name) == (row.step, row.action))
    step, action = next(named, (None, None))
    if step is None or action is None:
        return None
    due = enrolment.entry_at + step.after
    return Decided(world, timeline, written, row, playbook, step, action, due)


def _either(objections: Iterable[Objection]) -> Objection:
    found = list(objections)
    return Objection(any(one.certain for one in found), any(one.possible for one in found))


def _killed(of: Decided) -> Objection:
    """Switches are remembered for a while."""
    settings = of.world.board.between(of.written.began - FRESH, of.written.at)
    killed = [one.killed(of.playbook.name, of.action.channel) for one in settings]
    return Objection(all(killed), any(killed))


def _converted(of: Decided) -> Objection:
    if of.playbook.audience is not Audience.PROSPECTS:
        return NONE
    paid, paid_by_now = _latest(of, PAID)
    left, left_by_now = _latest(of, LEFT)
    return Objection(paid > 0 and paid >= left_by_now, paid_by_now > 0 and paid_by_now >= left)


def _latest(of: Decided, event: str) -> tuple[int, int]:
    """When the subject did that last: by what was there before the check, and by the end of it."""
    times = [0, 0]
    for index, step in enumerate((of.since, of.before)):
        for row in of.timeline.there(StateRow, step):
            if event in row.state.last:
                target = row.fragment if row.account == "-" else row.account
                own = of.of_subject(target)
                if own.certain if index == 0 else own.possible:
                    times[index] = max(times[index], row.state.last[event][0])
    return times[0], times[1]


def _already_sent(of: Decided) -> Objection:
    row, found = of.row, []
    for versions in of.timeline.versions(ClaimRow, of.since, of.before):
        claim = versions[0]
        key = (claim.playbook, claim.slot, claim.step, claim.action)
        if key != (row.playbook, row.slot, row.step, row.action):
            continue
        if of.timeline.root(claim.subject, of.before) == row.subject:
            counts = [
                one.subject == row.subject or one.state not in NOT_RECEIVED for one in versions
            ]
            there = of.timeline.at(claim.ref, of.since) is not None
            found.append(Objection(there and all(counts), any(counts)))
    return _either(found)


def _held_out(of: Decided) -> Objection:
    """Assigned at the latest by the same transaction."""
    subject = of.timeline.at(SubjectRow.ref_to(of.row.subject), of.written.step)
    held = subject is not None and bool(subject.holdout)
    return Objection(held, held)


def _unwanted(of: Decided) -> Objection:
    return _either([_suppressed(of), *_opted_out(of)])


def _suppressed(of: Decided) -> Objection:
    found = []
    for versions in of.timeline.versions(SuppressionRow, of.since, of.before):
        row = versions[0]
        if row.channel in ("*", of.action.channel):
            own = of.of_subject(row.target)
            there = of.timeline.at(row.ref, of.since) is not None
            holds = [one.lifted_at is None for one in versions]
            found.append(
                Objection(own.certain and there and all(holds), own.possible and any(holds))
            )
    return _either(found)


def _opted_out(of: Decided) -> Iterable[Objection]:
    """An opt-out holds for all that a person is in, under whichever account it was told."""
    if of.action.channel != "email":
        return
    for versions in of.timeline.versions(StateRow, of.since, of.before):
        refused = [not one.state.first.keys().isdisjoint(REFUSALS_OF_EMAIL) for one in versions]
        if any(refused):
            row = versions[0]
            targets = [row.fragment] if row.account == "-" else [row.fragment, row.account]
            own = _either(map(of.of_subject, targets))
            there = of.timeline.at(row.ref, of.since) is not None
            yield Objection(own.certain and there and refused[0], own.possible)


def _stale(of: Decided) -> Objection:
    until = of.due + of.action.not_after
    return Objection(of.written.began > until, of.written.at > until)


def _behind(of: Decided) -> Objection:
    if not (of.world.scenario.careful and _on_absence(of)):
        return NONE
    behind_at = of.world.readiness.behind_at
    return Objection(behind_at(of.due, of.before), behind_at(of.due, of.since))


def _on_absence(of: Decided) -> bool:
    """Whether the branch taken rests on something that was looked for and was not there."""
    row = of.row
    place = DecisionRow.ref_to(row.subject, row.enrolment, row.step, "-", "branch")
    branch = of.timeline.at(place, of.written.step)
    if branch is None:
        return False
    taken = next(one for one in of.step.branches if one.name == branch.reason)
    looked_for = branch.evidence if taken.when is None else set(event_names(taken.when))
    return any(
        branch.evidence[name] is None and name in looked_for
        for name in branch.evidence
        if name != "score"
    )


def _ambiguous(of: Decided) -> Objection:
    if of.action.channel not in PERSONAL:
        return NONE
    found = []
    for versions in of.timeline.versions(PersonRow, of.since, of.before):
        if any(one.ambiguous for one in versions):
            own = of.of_subject(versions[0].fragment)
            there = of.timeline.at(versions[0].ref, of.since) is not None
            certain = own.certain and there and versions[0].ambiguous
            found.append(Objection(certain, own.possible))
    return _either(found)


def _no_channel(of: Decided) -> Objection:
    missing = of.action.channel not in LIVE
    return Objection(missing, missing)


ORDER: dict[str, tuple[Callable[[Decided], Objection], tuple[str, ...]]] = {
    "kill_switch": (_killed, ("killed",)),
    "converted": (_converted, ("already_converted",)),
    "already_sent": (_already_sent, ("claimed_by:",)),
    "holdout": (_held_out, ("held_out",)),
    "consent": (_unwanted, ("suppressed:", "opted_out:")),
    "stale": (_stale, ("too_late",)),
    "pipeline": (_behind, ("pipeline_behind",)),
    "identity": (_ambiguous, ("ambiguous_person",)),
    "channel": (_no_channel, ("channel_not_available",)),
}
"""The gates in their order: what each must say, and how its reasons begin."""
