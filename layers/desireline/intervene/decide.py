"""Turn the decisions on a step into rows.

The functions are pure, so that the simulation shares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desireline.events import Stamps
from desireline.intervene.gate import Refusal
from desireline.intervene.playbook.playbooks import Action, Playbook, Step
from desireline.intervene.playbook.schedule import SKIPPED, Choice, Next, next_step
from desireline.intervene.wording import Message
from desireline.rows import ClaimRow, DecisionRow, EnrolmentRow, EnrolmentState, Outcome, Put


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's decision on an action: a refusal, or the message to claim."""

    action: Action
    refusal: Refusal | None
    message: Message | None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A step that is due. enrolment: as it was read. due, now: journey time. decided: wall time.
    Times are in epoch ms. score: 0 to 100. concerns: the subject's fragments and account keys."""

    enrolment: EnrolmentRow
    playbook: Playbook
    step: Step
    due: int
    now: int
    decided: int
    score: int | None
    concerns: tuple[str, ...] = ()

    @property
    def stamps(self) -> Stamps:
        """The stamps of the decision. Only a step without a delay carries the trigger's stamps,
        because after a delay they would not measure the pipeline's latency."""
        carried = self.enrolment.stamps if self.step.after == 0 else Stamps()
        return carried.model_copy(update={"decided": self.decided})


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The writes of one transaction, and the next step. completed: no step is left."""

    writes: tuple[Put, ...]
    upcoming: Next
    completed: bool


def outcomes(point: Checkpoint, choice: Choice, verdicts: Sequence[Verdict]) -> Outcomes:
    """Return the writes of a decided step: the enrolment with its branch, ledger rows, and claims.

    The branch, each action, each skipped step, and the end have a ledger row. Each action that
    passed the gates has a claim."""
    branches = {**point.enrolment.branches, point.step.name: choice.branch.name}
    upcoming = Next(None) if choice.branch.leave else next_step(point.playbook, branches)
    branches |= {step.name: SKIPPED for step in upcoming.skipped}
    completed = upcoming.step is None
    writes: list[Put] = [Put(_with_branches(point.enrolment, branches, completed))]
    if point.step.branches:
        writes.append(Put(_branch_row(point, point.step, choice.branch.name, choice.evidence)))
    for step in upcoming.skipped:
        branch = branches[step.only_if.step] if step.only_if else ""
        writes.append(Put(_branch_row(point, step, SKIPPED, {"taken": branch})))
    for verdict in verdicts:
        writes.append(Put(_gate_row(point, verdict)))
        if verdict.message is not None:
            writes.append(Put(_claim(point, verdict.action, verdict.message)))
    if completed:
        reason = f"left:{choice.branch.name}" if choice.branch.leave else "last_step_done"
        writes.append(Put(_row(point, "end", Outcome.COMPLETED, reason)))
    return Outcomes(tuple(writes), upcoming, completed)


def _with_branches(
    enrolment: EnrolmentRow, branches: Mapping[str, str], completed: bool
) -> EnrolmentRow:
    state = EnrolmentState.COMPLETED if completed else EnrolmentState.RUNNING
    return enrolment.but(branches=dict(branches), state=state)


def _row(point: Checkpoint, phase: str, outcome: Outcome, reason: str) -> DecisionRow:
    return DecisionRow(
        subject=point.enrolment.subject,
        playbook=point.playbook.name,
        playbook_version=point.playbook.version,
        enrolment=point.enrolment.enrolment,
        slot=point.enrolment.slot,
        phase=phase,
        outcome=outcome,
        reason=reason,
        at=point.now,
        stamps=point.stamps,
    )


def _branch_row(
    point: Checkpoint, step: Step, branch: str, evidence: Mapping[str, object]
) -> DecisionRow:
    row = _row(point, "branch", Outcome.BRANCHED, branch)
    return row.but(step=step.name, evidence=dict(evidence))


def _gate_row(point: Checkpoint, verdict: Verdict) -> DecisionRow:
    refusal = verdict.refusal
    outcome = Outcome.CLAIMED if refusal is None else Outcome.SUPPRESSED
    row = _row(point, "gate", outcome, "passed" if refusal is None else refusal.reason)
    return row.but(
        step=point.step.name,
        action=verdict.action.name,
        channel=verdict.action.channel,
        gate=None if refusal is None else refusal.gate,
        evidence={"due": point.due, "score": point.score},
    )


def _claim(point: Checkpoint, action: Action, message: Message) -> ClaimRow:
    return ClaimRow(
        subject=point.enrolment.subject,
        playbook=point.playbook.name,
        playbook_version=point.playbook.version,
        slot=point.enrolment.slot,
        step=point.step.name,
        action=action.name,
        enrolment=point.enrolment.enrolment,
        channel=action.channel,
        recipient=message.recipient,
        title=message.title,
        body=message.body,
        attributes=dict(message.attributes),
        concerns=point.concerns,
        decided_at=point.now,
        not_after=point.due + action.not_after,
        stamps=point.stamps,
    )
