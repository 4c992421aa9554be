"""CheckPlaybook: one checkpoint of one enrolment (delivery rules 8, 9 and 11).

A check reads what is known now, consistently, and decides as of the due time; waiting was only a
delay. All that it decides is one transaction, conditioned on the subject and the enrolment as they
were read: if either has changed meanwhile, it reads again. It sends nothing: what it claims reaches
the channel's queue by the table's stream. The enrolment's row says which step is next, so a check
that is repeated finds its step decided, and answers as the first one did.
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
    """Whether what did not happen may be claimed (delivery rule 12).

    Watermarks and holes come with the intervention work; until then CheckPlaybook is given none,
    and absence is judged on what has been folded so far. It is asked before anything is read.
    """

    def behind(self, due: int) -> bool:
        """Whether something that was answered with 2xx before `due` may not be folded yet."""
        ...


@dataclass(frozen=True, slots=True)
class CheckResult:
    """done: the run has ended. due: when to check again, journey time, in whole seconds (the
    workflow's resolution), None when done."""

    done: bool
    due: int | None = None


DONE = CheckResult(done=True)


class CheckPlaybook:
    """What the generic state machine calls.

    clock: journey time. wall: stamps. holdout_percent: 0 to 100, for subjects that were merged
    into one that has no assignment yet.
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

        Raises TerminalError for an enrolment or a playbook version that is not there,
        RetryableError when the check is to be repeated.
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
        refusals = [pass_gates(one) for one in facts]
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
        """The reasons of a score cost milliseconds: found only if something will say them."""
        said: dict[str, str] = {}
        if any(refusal is None for refusal in refusals):
            why = reasons(self._model, view.state, point.due)
            root = view.root
            said = values(root.subject, root.accounts, view.state, assessment, why)
        return [
            Verdict(
                action=action,
                refusal=refusal,
                message=message(action, point.playbook.name, said) if refusal is None else None,
            )
            for action, refusal in zip(actions, refusals, strict=True)
        ]

    def _follow(self, enrolment: EnrolmentRow, view: SubjectView) -> CheckResult:
        """The subject was merged: carry on as the survivor's, unless its slot is another's."""
        root = view.root
        place = SlotRow.ref_to(root.subject, enrolment.playbook, enrolment.slot)
        slot = self._store.get(place)
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
        """End the run, and take along what it has not begun to send."""
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
    """In whole seconds, rounded up: a workflow that wakes too early would only ask again."""
    return CheckResult(done=False, due=-(-due // 1000) * 1000)
