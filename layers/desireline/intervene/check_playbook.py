"""CheckPlaybook: decide the next step of an enrolment (delivery rules 8, 9 and 11).

A check reads the current state, and decides as of the step's due time. One transaction writes the
decision, if subject and enrolment still have the versions that were read. Otherwise the check reads
again. It sends nothing: the table's stream puts its claims into the channel's queue. The
enrolment's row names the next step. So a repeated check finds its step decided, and returns the
same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from desireline.errors import ConflictError, TerminalError
from desireline.events import Assessment, Stamps
from desireline.identity.view import SubjectView, read_subject
from desireline.intervene.cancel import cancellations, end_row, open_claims
from desireline.intervene.decide import Checkpoint, Verdict, outcomes
from desireline.intervene.gate import Refusal, pass_gates
from desireline.intervene.gate_facts import gate_facts
from desireline.intervene.holdout import guard, with_holdout
from desireline.intervene.playbook.conditions import Circumstances, event_names, judge
from desireline.intervene.playbook.playbooks import Action, Library
from desireline.intervene.playbook.schedule import choose, next_step
from desireline.intervene.wording import message, values
from desireline.ports import Clock, Metrics, Store, Switches
from desireline.rows import EnrolmentRow, EnrolmentState, Outcome, Put, SlotRow
from desireline.score.assess import assess, reasons
from desireline.score.models.package import Model

ATTEMPTS = 10
BEHIND_RETRY_MS = 60_000
BEHIND_PATIENCE_MS = 30 * 60_000


class Readiness(Protocol):
    """Tells whether the pipeline is up to date, so that absence can be decided (delivery rule 12).

    No deployment has one yet: absence is decided on the events that are counted so far.
    CheckPlaybook calls it before it reads anything.
    """

    def behind(self, due: int) -> bool:
        """Tell whether an event accepted before `due` (epoch ms) may not be counted yet."""
        ...


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check. done: whether the run has ended. due: the time of the next check, None
    if done: journey time in epoch ms, in whole seconds, which is the workflow's resolution."""

    done: bool
    due: int | None = None


DONE = CheckResult(done=True)


class CheckPlaybook:
    """Checks enrolments for the state machine that runs all playbooks.

    clock: journey time. wall: the wall clock, for stamps. holdout_percent: 0 to 100, for subjects
    without an assignment. readiness: None if absence is decided without waiting for the pipeline.
    """

    def __init__(
        self,
        *,
        store: Store,
        model: Model,
        playbooks: Library,
        switches: Switches,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        holdout_percent: int,
        readiness: Readiness | None = None,
    ) -> None:
        self._store = store
        self._model = model
        self._playbooks = playbooks
        self._switches = switches
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._holdout_percent = holdout_percent
        self._readiness = readiness

    def __call__(self, enrolment: str) -> CheckResult:
        """Decide the enrolment's next step if it is due.

        Raises TerminalError for an unknown enrolment or playbook version, and RetryableError if the
        caller must repeat the check.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._check(enrolment)
            except ConflictError:
                continue
        raise ConflictError(f"enrolment {enrolment}: {ATTEMPTS} conflicts")

    def _check(self, name: str) -> CheckResult:
        enrolment = self._store.get(EnrolmentRow.ref_to(name))
        if enrolment is None:
            raise TerminalError("unknown_enrolment", name)
        if enrolment.state is not EnrolmentState.RUNNING:
            return DONE
        playbook = self._playbooks.at(enrolment.playbook, enrolment.playbook_version)
        step = next_step(playbook, enrolment.branches).step
        if step is None:
            raise TerminalError("no_step_left", name)
        now, due = self._clock.now(), enrolment.entry_at + step.after
        if now < due:
            return _wait_until(due)
        behind = self._readiness is not None and self._readiness.behind(due)
        if behind and now < due + BEHIND_PATIENCE_MS:
            return _wait_until(now + BEHIND_RETRY_MS)
        view = read_subject(self._store, enrolment.subject, everywhere=True)
        if view.root.subject != enrolment.subject:
            return self._follow(enrolment, view)
        assessment = assess(self._model, view.state, due)
        point = Checkpoint(
            enrolment=enrolment,
            playbook=playbook,
            step=step,
            due=due,
            now=now,
            decided=self._wall.now(),
            score=assessment.score,
            concerns=(*view.fragments, *view.root.accounts),
        )
        circumstances = Circumstances(view.absence, assessment.score, enrolment.entry_at)
        if judge(playbook.goal, circumstances).holds:
            reason = "goal:" + ",".join(event_names(playbook.goal))
            return self._end(enrolment, view, EnrolmentState.EXITED, reason)
        return self._decide(point, view, assessment, circumstances, behind)

    def _decide(
        self,
        point: Checkpoint,
        view: SubjectView,
        assessment: Assessment,
        circumstances: Circumstances,
        behind: bool,
    ) -> CheckResult:
        choice = choose(point.step, circumstances)
        facts = gate_facts(
            self._store,
            self._switches,
            point=point,
            view=view,
            assessment=assessment,
            actions=choice.branch.actions,
            holdout=bool(with_holdout(view.root, self._holdout_percent).holdout),
            behind=behind and choice.on_absence,
        )
        refusals = [pass_gates(action_facts) for action_facts in facts]
        verdicts = self._verdicts(point, view, assessment, choice.branch.actions, refusals)
        decided = outcomes(point, choice, verdicts)
        self._store.write(guard(view.root, self._holdout_percent), *decided.writes)
        for verdict in verdicts:
            gate = verdict.refusal.gate if verdict.refusal else "passed"
            self._metrics.count("decisions", playbook=point.playbook.name, gate=gate)
        following = decided.upcoming.step
        if following is None:
            return DONE
        return _wait_until(point.enrolment.entry_at + following.after)

    def _verdicts(
        self,
        point: Checkpoint,
        view: SubjectView,
        assessment: Assessment,
        actions: Sequence[Action],
        refusals: Sequence[Refusal | None],
    ) -> list[Verdict]:
        """Return the verdict on each action, with the message of those that passed the gates."""
        texts: dict[str, str] = {}
        if any(refusal is None for refusal in refusals):
            # Reasons take milliseconds, so compute them only for a message.
            why = reasons(self._model, view.state, point.due)
            root = view.root
            texts = values(root.subject, root.accounts, view.state, assessment, why)
        return [
            Verdict(
                action=action,
                refusal=refusal,
                message=message(action, point.playbook.name, texts) if refusal is None else None,
            )
            for action, refusal in zip(actions, refusals, strict=True)
        ]

    def _follow(self, enrolment: EnrolmentRow, view: SubjectView) -> CheckResult:
        """Move the enrolment of a merged subject to the survivor, and check again.

        If another enrolment holds the survivor's slot, end this one as superseded."""
        root = view.root
        slot = self._store.get(SlotRow.ref_to(root.subject, enrolment.playbook, enrolment.slot))
        if slot is not None and slot.enrolment != enrolment.enrolment:
            reason = f"merged:{slot.enrolment}"
            return self._end(enrolment, view, EnrolmentState.SUPERSEDED, reason)
        if slot is None:
            slot = SlotRow(
                subject=root.subject,
                playbook=enrolment.playbook,
                slot=enrolment.slot,
                enrolment=enrolment.enrolment,
            )
        moved = enrolment.but(subject=root.subject)
        self._store.write(guard(root, self._holdout_percent), Put(slot), Put(moved))
        return self._check(enrolment.enrolment)

    def _end(
        self, enrolment: EnrolmentRow, view: SubjectView, state: EnrolmentState, reason: str
    ) -> CheckResult:
        """End the run, and cancel its unsent claims."""
        root, now = view.root, self._clock.now()
        subjects = (root.subject, *root.absorbed, enrolment.subject)
        claims = open_claims(self._store, enrolment.enrolment, subjects)
        stamps = Stamps(decided=self._wall.now())
        row = end_row(enrolment, root.subject, Outcome(state), reason, now).but(stamps=stamps)
        self._store.write(
            guard(root, self._holdout_percent),
            Put(enrolment.but(state=state)),
            Put(row),
            *cancellations(claims, f"enrolment_{state}", now),
        )
        self._metrics.count("enrolments_ended", playbook=enrolment.playbook, state=state)
        return DONE


def _wait_until(due: int) -> CheckResult:
    """Wait until `due`, rounded up to seconds, because a check before it would only wait again."""
    return CheckResult(done=False, due=-(-due // 1000) * 1000)
