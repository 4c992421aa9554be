"""StartInterventions: turn a trigger into an enrolment, or write why not (delivery rule 7).

The enrolment's row is written before its execution starts. A repeated trigger starts the execution
again, but the row and the execution's name ensure that only one runs. A replayed trigger starts no
run, and neither does one that is older than its playbook allows. Subjects in the holdout are
enrolled too: the gate holds back their messages, so the ledger shows each withheld action.
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
"""The most attempts after conflicts. Then the record fails, and Lambda retries it."""


class StartInterventions:
    """Reads events.resolved and journeys.scored.

    clock: journey time, for the age of a trigger. wall: the wall clock, for stamps.
    holdout_percent: 0 to 100, the share of the holdout among subjects that are enrolled first.
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
        """Start the playbooks that these records trigger. Triggers are independent: a record that
        fails does not affect the others."""
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
        """Write the enrolment. Returns whether its execution must start. Raises RetryableError."""
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
        """Tell whether the trigger was refused before, under any of these subjects.

        The first decision is final. A repeated event names the current subject, which may have
        absorbed the subject of that decision. Raises ConflictError if another environment has
        enrolled the trigger since the enrolment was read. It may fail before it starts the
        execution, so the caller must read the enrolment again."""
        refs = [
            DecisionRow.ref_to(subject, entry.enrolment, "-", "-", "start") for subject in subjects
        ]
        decisions = self._store.get_all(refs).values()
        if any(row.outcome is Outcome.ENROLLED for row in decisions):
            raise ConflictError("another environment has enrolled the trigger")
        return bool(decisions)

    def _refuse(self, entry: Entry, root: SubjectRow, reason: str, **evidence: object) -> bool:
        row = self._decision(entry, root, Outcome.NOT_ENROLLED, reason)
        self._store.write(Check(root), Put(row.but(evidence=evidence)))
        self._metrics.count("not_enrolled", playbook=entry.playbook.name, reason=reason)
        return False

    def _note_replay(self, entry: Entry) -> None:
        """Write a ledger row of the replayed trigger.

        Its key differs from that of a decision, so the original trigger can still be decided."""
        root, passed = trace_subject(self._store, entry.subject)
        row = self._decision(entry, root, Outcome.NOT_ENROLLED, "replay").but(step="replay")
        refs = [
            DecisionRow.ref_to(subject, entry.enrolment, "replay", "-", "start")
            for subject in dict.fromkeys((*passed, *root.absorbed))
        ]
        if not self._store.get_all(refs):
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
