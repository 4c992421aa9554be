"""StartInterventions: a trigger becomes an enrolment, or a ledger row that says why not (rule 7).

An enrolment is claimed before it is started, and started as often as it is asked for: the row and
the execution's name make that one execution. A trigger that is a replay, or older than its
playbook allows, starts nothing. Who is held out is enrolled like everyone else, and held back at
the gate: so the ledger shows, action by action, what was withheld.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from desireline.contracts import Component, Header, Topic
from desireline.errors import ConflictError, RetryableError, TerminalError, UnknownSchemaError
from desireline.events import JourneyScored, ResolvedEvent
from desireline.identity.trace import trace_subject
from desireline.intervene.holdout import guard
from desireline.intervene.playbook.playbooks import Library
from desireline.intervene.playbook.triggers import (
    Entry,
    entries_of_event,
    entries_of_score,
    execution_name,
)
from desireline.ports import Clock, Metrics, Store, Workflow
from desireline.records import BatchResult, Record, Tally
from desireline.rows import (
    Check,
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    Outcome,
    Put,
    SlotRow,
    SubjectRow,
)
from desireline.set_aside import SetAside

ATTEMPTS = 10
"""How often a conflict is met by reading again, before the record is left to be retried."""


class StartInterventions:
    """Consumes events.resolved and journeys.scored.

    clock: journey time, for the age of a trigger. wall: for stamps. holdout_percent: 0 to 100, of
    subjects that are assigned to the holdout when they are first enrolled.
    """

    def __init__(
        self,
        *,
        store: Store,
        workflow: Workflow,
        playbooks: Library,
        clock: Clock,
        wall: Clock,
        metrics: Metrics,
        holdout_percent: int,
    ) -> None:
        self._store = store
        self._workflow = workflow
        self._playbooks = playbooks.current()
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._holdout_percent = holdout_percent
        self._set_aside = SetAside(
            component=Component.INTERVENE, store=store, clock=clock, wall=wall, metrics=metrics
        )

    def __call__(self, records: Sequence[Record]) -> BatchResult:
        """Start what these records trigger. Triggers are independent: one that fails, and is to be
        retried, holds up no other."""
        tally = Tally()
        for record in records:
            if record.value is None:
                tally.skipped.append(record)
                continue
            try:
                self._one(record, record.value)
                tally.done.append(record)
            except RetryableError as error:
                tally.fail([record], type(error).__name__)
            except TerminalError as error:
                self._set_aside(record, error.reason, error.detail, tally)
        return tally.result()

    def _one(self, record: Record, value: bytes) -> None:
        replayed = Header.REPLAY in record.headers
        for entry in self._entries(record.topic, value):
            if replayed:
                self._note_replay(entry)
            elif self._enrol(entry):
                self._workflow.start(
                    name=execution_name(entry.playbook.name, entry.enrolment),
                    payload={"enrolment": entry.enrolment},
                )

    def _entries(self, topic: str, value: bytes) -> list[Entry]:
        try:
            if topic == Topic.JOURNEYS_SCORED:
                return entries_of_score(JourneyScored.decode(value), self._playbooks)
            return entries_of_event(ResolvedEvent.decode(value), self._playbooks)
        except ValidationError as error:
            detail = f"{error.error_count()} errors"
            raise UnknownSchemaError("unreadable_record", detail) from error

    def _enrol(self, entry: Entry) -> bool:
        """Whether there is an enrolment to start. Raises RetryableError."""
        for _ in range(ATTEMPTS):
            try:
                return self._try_to_enrol(entry)
            except ConflictError:
                continue
        raise ConflictError(f"enrolment {entry.enrolment}: {ATTEMPTS} conflicts")

    def _try_to_enrol(self, entry: Entry) -> bool:
        known = self._store.get(EnrolmentRow.ref_to(entry.enrolment))
        if known is not None:
            return known.state is EnrolmentState.RUNNING
        root, passed = trace_subject(self._store, entry.subject)
        if self._was_refused(entry, dict.fromkeys((*passed, *root.absorbed))):
            return False
        now = self._clock.now()
        if now - entry.at > entry.playbook.entry_age_limit:
            return self._refuse(entry, root, "stale", age=now - entry.at)
        slot = SlotRow.ref_to(root.subject, entry.playbook.name, entry.slot)
        held = self._store.get(slot)
        if held is not None:
            return self._refuse(entry, root, "already_enrolled", by=held.enrolment)
        self._store.write(*self._enrolment(entry, root, now))
        self._metrics.count("enrolled", playbook=entry.playbook.name)
        return True

    def _enrolment(self, entry: Entry, root: SubjectRow, now: int) -> list[Put | Check]:
        stamps = entry.stamps.model_copy(update={"decided": self._wall.now()})
        names = {"subject": root.subject, "playbook": entry.playbook.name, "slot": entry.slot}
        enrolment = EnrolmentRow(
            **names,
            enrolment=entry.enrolment,
            playbook_version=entry.playbook.version,
            entry_id=entry.id,
            entry_at=entry.at,
            stamps=entry.stamps,
        )
        decision = self._decision(entry, root, Outcome.ENROLLED, "triggered").but(
            evidence={"entry": entry.id, "entry_at": entry.at}, at=now, stamps=stamps
        )
        return [
            guard(root, self._holdout_percent),
            Put(SlotRow(**names, enrolment=entry.enrolment)),
            Put(enrolment),
            Put(decision),
        ]

    def _was_refused(self, entry: Entry, subjects: Iterable[str]) -> bool:
        """The first decision stands, whichever subject it was made for: a repeated event names the
        one of now, which may have absorbed the one of then.

        Raises ConflictError when somebody else has enrolled it since the enrolment was looked for:
        whether they live to start it is unknown, so it is looked at again."""
        where = [
            DecisionRow.ref_to(subject, entry.enrolment, "-", "-", "start") for subject in subjects
        ]
        made = self._store.get_all(where).values()
        if any(row.outcome is Outcome.ENROLLED for row in made):
            raise ConflictError("enrolled meanwhile")
        return bool(made)

    def _refuse(self, entry: Entry, root: SubjectRow, reason: str, **evidence: object) -> bool:
        row = self._decision(entry, root, Outcome.NOT_ENROLLED, reason)
        self._store.write(Check(root), Put(row.but(evidence=evidence)))
        self._metrics.count("not_enrolled", playbook=entry.playbook.name, reason=reason)
        return False

    def _note_replay(self, entry: Entry) -> None:
        """A row of its own: it must not stand in the way of the original, if that is to come."""
        root, passed = trace_subject(self._store, entry.subject)
        row = self._decision(entry, root, Outcome.NOT_ENROLLED, "replay").but(step="replay")
        where = [
            DecisionRow.ref_to(subject, entry.enrolment, "replay", "-", "start")
            for subject in dict.fromkeys((*passed, *root.absorbed))
        ]
        if not self._store.get_all(where):
            self._store.write(Check(root), Put(row))
        self._metrics.count("not_enrolled", playbook=entry.playbook.name, reason="replay")

    def _decision(
        self, entry: Entry, root: SubjectRow, outcome: Outcome, reason: str
    ) -> DecisionRow:
        return DecisionRow(
            subject=root.subject,
            playbook=entry.playbook.name,
            playbook_version=entry.playbook.version,
            enrolment=entry.enrolment,
            slot=entry.slot,
            phase="start",
            outcome=outcome,
            reason=reason,
            at=self._clock.now(),
            stamps=entry.stamps.model_copy(update={"decided": self._wall.now()}),
        )
