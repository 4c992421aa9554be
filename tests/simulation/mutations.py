"""Each rule broken once. A simulation that finds none of these proves nothing.

A mutation replaces a part of the code under test; `MUTATIONS` says which rule it breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from desireline.adapters import memory
from desireline.adapters.memory import MemoryStore
from desireline.announce import publish_changes
from desireline.errors import ConflictError, RetryableError, UnavailableError
from desireline.events import ResolvedEvent
from desireline.identity import trace, view
from desireline.intervene import check_playbook, deliver_action, gate_facts, start_interventions
from desireline.journey import state as journey
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.resolve import accounts, fold, link, persons
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import (
    Check,
    ClaimRow,
    ClaimState,
    EnrolmentState,
    JourneyRow,
    Put,
    SlotRow,
    SubjectRow,
    SuppressionRow,
)
from desireline.score import score_journey as scoring
from tests.simulation.faults import Faults
from tests.simulation.history import Case
from tests.simulation.scenario import leaving

Patch = pytest.MonkeyPatch

NO_CHECK = Check(SuppressionRow(target="nobody", reason="none", at=0))
"""Demands what is always so."""


@dataclass(frozen=True)
class Mutation:
    """rule: of the delivery rules. apply: breaks it for as long as the patch lasts. case: of a
    seed; a story of its own where the window is too narrow for any story to hit."""

    name: str
    rule: str
    apply: Callable[[Patch], None]
    case: Callable[[int], Case] = Case.of


def _no_versions(patch: Patch) -> None:
    write = MemoryStore.write

    def overwrite(self: MemoryStore, *writes: Put | Check) -> None:
        def current(row: Any) -> Any:
            stored = self.rows.get((row.table, row.pk, row.sk))
            return row.but(version=stored.version if stored else 0)

        write(self, *(type(one)(current(one.row)) for one in writes))

    patch.setattr(MemoryStore, "write", overwrite)


def _forget_ids(patch: Patch) -> None:
    patch.setattr(fold, "pack", lambda ids: b"")


def _ids_afterwards(patch: Patch) -> None:
    finish = fold.Fold._finish

    def state_alone(self: Any, draft: Any) -> Any:
        return draft.row.but(state=journey.fold(draft.row.state, draft.fresh)), []

    def ids_too(self: Any, group: Any, draft: Any, row: Any) -> None:
        if draft.fresh:
            self._store.write(Put(row.but(ids=fold.pack(draft.hot))))
            row = row.but(version=row.version + 1, ids=fold.pack(draft.hot))
        finish(self, group, draft, row)

    patch.setattr(fold.Fold, "_rows", state_alone)
    patch.setattr(fold.Fold, "_finish", ids_too)


def _sealed_ids_unread(patch: Patch) -> None:
    patch.setattr(
        fold.Fold, "_counted_ids", lambda self, draft, day: draft.hot.get(day, frozenset())
    )


def _passed_on_before_counted(patch: Patch) -> None:
    count = ResolveIdentity._count

    def early(self: Any, groups: Any, tally: Any) -> None:
        nothing = fold.Folded(frozenset(), frozenset(), frozenset())
        for group in groups.values():
            for one in group:
                self._pass_on(one, nothing)
        self._flush(tally)
        passing, self._pass_on = self._pass_on, lambda one, folded: None
        try:
            count(self, groups, tally)
        finally:
            self._pass_on = passing

    patch.setattr(ResolveIdentity, "_count", early)


def _acknowledged_before_the_flush(patch: Patch) -> None:
    patch.setattr(ResolveIdentity, "_flush", lambda self, tally: None)


def _answered_before_the_flush(patch: Patch) -> None:
    call = ReceiveWebhook.__call__

    class Unflushed:
        def __init__(self, producer: Any) -> None:
            self.produce = producer.produce

        def flush(self, timeout: float) -> None: ...

    def unflushed(self: Any, request: Any) -> Any:
        if not isinstance(self._producer, Unflushed):
            self._producer = Unflushed(self._producer)
        return call(self, request)

    patch.setattr(ReceiveWebhook, "__call__", unflushed)


def _repeats_stay(patch: Patch) -> None:
    pass_on = ResolveIdentity._pass_on

    def only_fresh(self: Any, one: Any, folded: Any) -> None:
        if one.event.event_id in folded.counted:
            pass_on(self, one, folded)

    patch.setattr(ResolveIdentity, "_pass_on", only_fresh)


def _merge_in_two_steps(patch: Patch) -> None:
    def merge(self: Any, event: Any, aliases: Any, left: Any, right: Any) -> None:
        winner, loser = persons.winner_first(left, right)
        subject, subject_writes = self._merge_subjects(event, winner, loser)
        self._store.write(*map(Put, persons.merged(winner, loser, subject, ())))
        self._store.write(*subject_writes)

    patch.setattr(link.Link, "_merge", merge)


def _members_not_noted(patch: Patch) -> None:
    patch.setattr(accounts.Accounts, "_note", lambda self, event, row: None)


def _conflicts_merge(patch: Patch) -> None:
    patch.setattr(persons, "obstacle", lambda left, right: "")


def _groups_merge(patch: Patch) -> None:
    patch.setattr(link, "in_different_groups", lambda left, right: False)


def _holdout_lost(patch: Patch) -> None:
    def merged(winner: Any, loser: Any) -> Any:
        survivor, tombstone = original(winner, loser)
        return survivor.but(holdout=winner.holdout), tombstone

    original = link.merged_subjects
    patch.setattr(link, "merged_subjects", merged)
    patch.setattr(accounts, "merged", merged)


def _tombstones_not_followed(patch: Patch) -> None:
    def stay(subject: str) -> Any:
        ref = SubjectRow.ref_to(subject)
        row = (yield [ref]).get(ref)
        return row or trace.default_subject(subject), (subject,)

    for module in (trace, view):
        patch.setattr(module, "tracing", stay)


def _persons_not_asked(patch: Patch) -> None:
    def always(person: Any, root: Any, passed: Any) -> Any:
        yield from ()
        return True

    patch.setattr(view, "_belongs", always)


def _score_overwrites(patch: Patch) -> None:
    changed = scoring.ScoreJourneys._changed

    def last_one_wins(self: Any, reading: Any, current: Any, request: Any) -> Any:
        stored = self._store.get(JourneyRow.ref_to(reading.subject))
        reading = scoring._Journey(reading.subject, stored, reading.state)
        return changed(self, reading, current, request)

    patch.setattr(scoring.ScoreJourneys, "_changed", last_one_wins)


def _state_before_the_score(patch: Patch) -> None:
    def knowing(subject: str) -> Any:
        known = yield from view.viewing(subject)
        ref = JourneyRow.ref_to(known.root.subject)
        row = (yield [ref]).get(ref)
        return scoring._Journey(known.root.subject, row, known.state)

    patch.setattr(scoring, "_reading_journey", knowing)


def _score_as_of_the_record(patch: Patch) -> None:
    score, assess_all = scoring.ScoreJourneys._score, scoring.assess_all
    times: list[int] = []

    def remember(self: Any, requests: Any, tally: Any) -> Any:
        times.clear()
        for request in requests.values():
            for record in request.records:
                if record.topic == "events.resolved":
                    times.append(ResolvedEvent.decode(record.value).event.occurred_at)
        return score(self, requests, tally)

    def as_of(model: Any, moments: Any) -> Any:
        return assess_all(model, [(known, times[-1] if times else at) for known, at in moments])

    patch.setattr(scoring.ScoreJourneys, "_score", remember)
    patch.setattr(scoring, "assess_all", as_of)


def _published_past_a_failure(patch: Patch) -> None:
    call = publish_changes.PublishChanges.__call__

    def all_is_well(self: Any, changes: Any) -> None:
        call(self, changes)

    patch.setattr(publish_changes.PublishChanges, "__call__", all_is_well)


def _claims_not_announced(patch: Patch) -> None:
    announced = tuple(row for row in memory.ANNOUNCED_ROWS if row is not ClaimRow)
    patch.setattr(memory, "ANNOUNCED_ROWS", announced)


def _only_new_subjects_told(patch: Patch) -> None:
    of_person = publish_changes._of_person

    def winners(old: Any, new: Any) -> Any:
        return [] if new.merged_into else of_person(old, new)

    patch.setattr(publish_changes, "_of_person", winners)


def _merges_untold(patch: Patch) -> None:
    patch.setattr(publish_changes, "_of_person", lambda old, new: [])
    patch.setattr(publish_changes, "_of_subject", lambda old, new: [])


def _members_untold(patch: Patch) -> None:
    patch.setattr(publish_changes, "_of_account", lambda old, new: [])


def _known_enrolment_not_started(patch: Patch) -> None:
    enrol = start_interventions.StartInterventions._try_to_enrol

    def once(self: Any, entry: Any) -> bool:
        known = self._store.get(start_interventions.EnrolmentRow.ref_to(entry.enrolment))
        return known is None and enrol(self, entry)

    patch.setattr(start_interventions.StartInterventions, "_try_to_enrol", once)


def _refused_is_asked_again(patch: Patch) -> None:
    patch.setattr(
        start_interventions.StartInterventions, "_was_refused", lambda self, entry, subjects: False
    )


def _absorbed_refusals_forgotten(patch: Patch) -> None:
    refused = start_interventions.StartInterventions._was_refused

    def as_named(self: Any, entry: Any, subjects: Any) -> bool:
        passed = start_interventions.trace_subject(self._store, entry.subject)[1]
        return refused(self, entry, passed)

    patch.setattr(start_interventions.StartInterventions, "_was_refused", as_named)


def _enrolled_means_refused(patch: Patch) -> None:
    def any_decision(self: Any, entry: Any, subjects: Any) -> bool:
        where = [
            start_interventions.DecisionRow.ref_to(subject, entry.enrolment, "-", "-", "start")
            for subject in subjects
        ]
        return bool(self._store.get_all(where))

    patch.setattr(start_interventions.StartInterventions, "_was_refused", any_decision)


def _replays_start(patch: Patch) -> None:
    def one(self: Any, record: Any, value: bytes) -> None:
        for entry in self._entries(record.topic, value):
            if self._enrol(entry):
                name = start_interventions.execution_name(entry.playbook.name, entry.enrolment)
                self._workflow.start(name=name, payload={"enrolment": entry.enrolment})

    patch.setattr(start_interventions.StartInterventions, "_one", one)


def _replayed_scores_unmarked(patch: Patch) -> None:
    patch.setattr(publish_changes, "MARK", {})


def _replays_keep(patch: Patch) -> None:
    """What a replay moved is never told, also when the original comes."""
    patch.setattr(scoring, "_announced", lambda row, replayed: None if row is None else row.current)


def _slot_not_held(patch: Patch) -> None:
    enrolment = start_interventions.StartInterventions._enrolment

    def without(self: Any, entry: Any, root: Any, now: int) -> Any:
        writes = enrolment(self, entry, root, now)
        return [one for one in writes if not isinstance(one.row, SlotRow)]

    patch.setattr(start_interventions.StartInterventions, "_enrolment", without)


def _claim_without_the_subject(patch: Patch) -> None:
    patch.setattr(check_playbook, "guard", lambda root, percent: NO_CHECK)


def _absorbed_claims_forgotten(patch: Patch) -> None:
    earlier = gate_facts._earlier_claims

    def own(store: Any, point: Any, known: Any, actions: Any) -> Any:
        found = earlier(store, point, known, actions)
        return [claim for claim in found if claim.subject == known.root.subject]

    patch.setattr(gate_facts, "_earlier_claims", own)


def _merged_means_superseded(patch: Patch) -> None:
    def follow(self: Any, enrolment: Any, known: Any) -> Any:
        return self._end(enrolment, known, EnrolmentState.SUPERSEDED, "merged")

    patch.setattr(check_playbook.CheckPlaybook, "_follow", follow)


def _both_carry_on(patch: Patch) -> None:
    def follow(self: Any, enrolment: Any, known: Any) -> Any:
        self._store.write(Put(enrolment.but(subject=known.root.subject)))
        return self._check(enrolment.enrolment)

    patch.setattr(check_playbook.CheckPlaybook, "_follow", follow)


def _superseded_sends(patch: Patch) -> None:
    patch.setattr(check_playbook, "open_claims", lambda store, enrolment, subjects: [])
    patch.setattr(deliver_action, "SENDABLE", frozenset(EnrolmentState))


def _sends_without_a_mark(patch: Patch) -> None:
    patch.setattr(deliver_action.DeliverAction, "_mark", lambda self, sending, unchanged: sending)


def _mark_without_the_enrolment(patch: Patch) -> None:
    """And claims are not cancelled, which would make the mark fail as well."""
    patch.setattr(check_playbook, "open_claims", lambda store, enrolment, subjects: [])
    mark = deliver_action.DeliverAction._mark
    patch.setattr(
        deliver_action.DeliverAction,
        "_mark",
        lambda self, sending, unchanged: mark(self, sending, NO_CHECK),
    )


def _sending_is_sent_again(patch: Patch) -> None:
    def again(self: Any, claim: Any) -> Any:
        return self._call(claim)

    patch.setattr(deliver_action.DeliverAction, "_settle_attempt", again)


def _no_answer_means_again(patch: Patch) -> None:
    def call(self: Any, claim: Any) -> Any:
        try:
            self._senders[claim.channel].send(deliver_action._alert(claim))
        except RetryableError as error:
            self._write_down(claim.but(state=ClaimState.CLAIMED, attempt=None), ())
            raise UnavailableError("again") from error
        return self._end(claim, deliver_action._End(ClaimState.SENT, "accepted"))

    patch.setattr(deliver_action.DeliverAction, "_call", call)


def _young_attempt_acknowledged(patch: Patch) -> None:
    def young(self: Any, claim: Any) -> Any:
        return claim.state

    patch.setattr(deliver_action.DeliverAction, "_settle_attempt", young)


def _sent_too_late(patch: Patch) -> None:
    without = deliver_action.DeliverAction._end_without_call

    def ageless(self: Any, claim: Any, enrolment: Any) -> Any:
        return without(self, claim.but(not_after=1 << 62), enrolment)

    patch.setattr(deliver_action.DeliverAction, "_end_without_call", ageless)


def _outcome_untold(patch: Patch) -> None:
    def end(self: Any, claim: Any, end: Any, *checks: Any) -> Any:
        self._write_down(claim.but(state=end.state), checks)
        return end.state

    patch.setattr(deliver_action.DeliverAction, "_end", end)


def _conflict_gives_up(patch: Patch) -> None:
    """A lost race counts as done."""
    once = check_playbook.CheckPlaybook._check

    def giving_up(self: Any, name: str) -> Any:
        try:
            return once(self, name)
        except ConflictError:
            return check_playbook.DONE

    patch.setattr(check_playbook.CheckPlaybook, "_check", giving_up)


MUTATIONS = (
    Mutation("no row is compared before it is written", "1", _no_versions),
    Mutation("counted ids are forgotten", "2", _forget_ids),
    Mutation("ids are remembered in a second write", "2", _ids_afterwards),
    Mutation("sealed ids are not looked at", "2", _sealed_ids_unread),
    Mutation("events are passed on before they are counted", "3", _passed_on_before_counted),
    Mutation("records are acknowledged before the flush", "3", _acknowledged_before_the_flush),
    Mutation("a repeated event is not passed on", "3", _repeats_stay),
    Mutation("a webhook is answered before the flush", "3", _answered_before_the_flush),
    Mutation("persons and subjects merge one after the other", "5", _merge_in_two_steps),
    Mutation("fragments that name an account are not noted", "5", _members_not_noted),
    Mutation("the survivor's holdout stands", "5", _holdout_lost),
    Mutation("a merged subject is not followed", "5", _tombstones_not_followed),
    Mutation("a person that left is still counted", "5", _persons_not_asked),
    Mutation("subjects of two groups merge", "5", _groups_merge),
    Mutation("the last score wins", "6", _score_overwrites),
    Mutation(
        "the state is read before the score",
        "6",
        _state_before_the_score,
        case=lambda seed: replace(Case.of(seed), faults=Faults(copies=0.6, pause=0.06)),
    ),
    Mutation("a score is as of its record", "6", _score_as_of_the_record),
    Mutation("streams go on past what failed", "1", _published_past_a_failure),
    Mutation("a stream's filter drops claims", "1", _claims_not_announced),
    Mutation("only the subject that gained is told", "5", _only_new_subjects_told),
    Mutation("merges are not announced", "5", _merges_untold),
    Mutation("members are not announced", "5", _members_untold),
    Mutation("a known enrolment is not started again", "7", _known_enrolment_not_started),
    Mutation("a refused trigger is decided anew", "7", _refused_is_asked_again),
    Mutation("a refusal is looked for under one name", "7", _absorbed_refusals_forgotten),
    Mutation(
        "a copy's enrolment is taken for a refusal",
        "7",
        _enrolled_means_refused,
        case=lambda seed: Case(seed, leaving(), Faults(copies=0.6, crash=0.03)),
    ),
    Mutation("a replay starts playbooks", "8", _replays_start),
    Mutation("what a replay led to is not marked", "8", _replayed_scores_unmarked),
    Mutation("what a replay moved is never told", "8", _replays_keep),
    Mutation("a slot is not held", "7", _slot_not_held),
    Mutation("a merged run ends as superseded", "7", _merged_means_superseded),
    Mutation("both runs of merged subjects carry on", "7", _both_carry_on),
    Mutation("a claim does not look at its subject", "8", _claim_without_the_subject),
    Mutation("claims of absorbed subjects are forgotten", "8", _absorbed_claims_forgotten),
    Mutation("a superseded run sends", "8", _superseded_sends),
    Mutation("a send is not marked", "8", _sends_without_a_mark),
    Mutation(
        "a mark does not look at its enrolment",
        "8",
        _mark_without_the_enrolment,
        case=lambda seed: Case(seed, leaving(), Faults(pause=0.2)),
    ),
    Mutation("what is being sent is sent again", "8", _sending_is_sent_again),
    Mutation("an unknown outcome is sent again", "8", _no_answer_means_again),
    Mutation("a young attempt is acknowledged", "8", _young_attempt_acknowledged),
    Mutation("a claim is sent after its time", "8", _sent_too_late),
    Mutation("a lost race ends the check", "8", _conflict_gives_up),
    Mutation("what a channel made of a claim is not in the ledger", "9", _outcome_untold),
    Mutation("conflicting ids merge", "14", _conflicts_merge),
)
