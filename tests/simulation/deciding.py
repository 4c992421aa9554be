"""Properties of enrolments, claims, sends and the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from desireline.announce.publish_changes import journey_scored
from desireline.contracts import Header, Topic
from desireline.events import DecisionMade, ResolvedEvent
from desireline.identity.trace import trace_subject
from desireline.intervene.playbook.triggers import Entry, entries_of_event, entries_of_score
from desireline.journey.crossings import crossings
from desireline.rows import (
    OPEN_CLAIMS,
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    JourneyRow,
    SubjectRow,
)
from tests.simulation.counting import Violation, live_subjects, subject_root
from tests.simulation.oracle import Expected
from tests.simulation.releases import PLAYBOOKS, version_of
from tests.simulation.tables import Written, rows_of
from tests.simulation.world import World

PLAYBOOK_LIST = PLAYBOOKS.current()


def started_or_said_why(world: World, truth: Expected) -> Iterator[Violation]:
    """Each trigger, of a trial's signup and of every crossing that was ever stored, is an enrolment
    or a line of the ledger; so no crossing was lost."""
    enrolments = {row.enrolment for row in rows_of(world.tables, EnrolmentRow)}
    refused = {
        row.enrolment
        for row in rows_of(world.tables, DecisionRow)
        if row.phase == "start" and row.outcome == "not_enrolled" and row.reason != "replay"
    }
    for entry in _entries(world, truth):
        if entry.enrolment not in enrolments | refused:
            yield "trigger lost", f"{entry.playbook.name} by {entry.id}"
        if entry.enrolment in enrolments & refused:
            yield "two answers to a trigger", f"{entry.playbook.name} by {entry.id}"


def _entries(world: World, truth: Expected) -> list[Entry]:
    found: list[Entry] = []
    for event in truth.events:
        message = ResolvedEvent(event=event, person="", subject="")
        found += entries_of_event(message, PLAYBOOK_LIST)
    for written in world.tables.history:
        if isinstance(written.new, JourneyRow) and not written.new.replayed:
            old = written.old if isinstance(written.old, JourneyRow) else None
            found += entries_of_score(journey_scored(old, written.new), PLAYBOOK_LIST)
    return found


def replays_start_nothing(world: World, truth: Expected) -> Iterator[Violation]:
    """Whoever is enrolled was so by an event that came by itself, or by a score to which one led;
    and no replay keeps for itself what ought to have started something."""
    came = {
        ResolvedEvent.decode(record.value or b"").event.event_id
        for record in world.topics.records(Topic.EVENTS_RESOLVED)
        if Header.REPLAY not in record.headers
    }
    for written in world.tables.history:
        if isinstance(written.new, JourneyRow) and not written.new.replayed:
            came.add(f"{written.new.subject}+{written.new.version}")
    for row in rows_of(world.tables, EnrolmentRow):
        if row.entry_id not in came:
            yield "started by a replay", f"{row.playbook} by {row.entry_id}"
    for subject in live_subjects(world, truth):
        row = world.tables.get(JourneyRow.ref_to(subject))
        if row is not None and row.replayed and crossings(row.before, row.current):
            yield "kept by a replay", f"{row.subject}: {row.before} -> {row.current}"


def runs_end(world: World, _: Expected) -> Iterator[Violation]:
    """After the last step no enrolment runs, no execution waits or has failed."""
    for row in rows_of(world.tables, EnrolmentRow):
        state = world.executions.states.get(row.enrolment)
        if state is None:
            yield "never executed", f"{row.playbook} {row.enrolment}"
        elif row.state is EnrolmentState.RUNNING:
            yield "runs for ever", f"{row.playbook} {row.enrolment}: execution {state}"
    for failure in world.executions.failures:
        yield "execution failed", failure


def somebody_carries_on(world: World, _: Expected) -> Iterator[Violation]:
    """A slot's enrolments are not all superseded: the one that took over ended by itself."""
    by_slot: dict[tuple[str, str, str], list[EnrolmentRow]] = defaultdict(list)
    for row in rows_of(world.tables, EnrolmentRow):
        root = trace_subject(world.tables, row.subject)[0].subject
        by_slot[root, row.playbook, row.slot].append(row)
    for place, rows in by_slot.items():
        if all(row.state is EnrolmentState.SUPERSEDED for row in rows):
            yield "nobody carries on", f"{place}: {[row.enrolment for row in rows]}"
    for row in rows_of(world.tables, DecisionRow):
        if row.phase == "start" and row.reason == "already_enrolled":
            held = world.tables.get(EnrolmentRow.ref_to(str(row.evidence["by"])))
            if held is None:
                yield "refused for nothing", f"{row.enrolment} by {row.evidence}"


def single_sends(world: World, _: Expected) -> Iterator[Violation]:
    """At most one send for a claim; and for a subject with all whom it absorbed, unless the merge
    came after the second claim."""
    first: dict[tuple[str, ...], int] = {}
    made = {
        _claim_key(written.new): written.step
        for written in world.tables.history
        if isinstance(written.new, ClaimRow) and written.old is None
    }
    for accepted in world.provider.accepted:
        claim = accepted.claim
        key = (claim.subject, claim.playbook, claim.slot, claim.step, claim.action)
        if key in first:
            yield "one claim sent twice", f"{key}"
        first[key] = made[key]
    merges = _merges(world)
    by_action: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    for key, step in first.items():
        by_action[key[1:]].append((step, key[0]))
    for action, claims in by_action.items():
        ordered = sorted(claims)
        for index, (step, subject) in enumerate(ordered):
            root = _root_at(merges, subject, step)
            for _, other in ordered[:index]:
                if _root_at(merges, other, step) == root:
                    yield "sent twice to merged subjects", f"{action}: {other}, {subject}"


def _claim_key(row: ClaimRow) -> tuple[str, ...]:
    return (row.subject, row.playbook, row.slot, row.step, row.action)


def _merges(world: World) -> dict[str, tuple[str, int]]:
    """Subject -> (merged into, when)."""
    return {
        written.new.subject: (written.new.merged_into, written.step)
        for written in world.tables.history
        if isinstance(written.new, SubjectRow) and written.new.merged_into is not None
    }


def _root_at(merges: dict[str, tuple[str, int]], subject: str, step: int) -> str:
    while subject in merges and merges[subject][1] < step:
        subject = merges[subject][0]
    return subject


def sends_match_claims(world: World, _: Expected) -> Iterator[Violation]:
    """What the provider took is sent or unknown; what is sent it took. No claim hangs."""
    taken = {tuple(one.claim.model_dump().values()) for one in world.provider.accepted}
    for row in rows_of(world.tables, ClaimRow):
        accepted = _claim_key(row) in taken
        if row.state in OPEN_CLAIMS:
            yield "claim hangs", f"{row.state} {_claim_key(row)}"
        elif accepted and row.state not in (ClaimState.SENT, ClaimState.UNKNOWN):
            yield "sent, but called otherwise", f"{row.state} {_claim_key(row)}"
        elif row.state is ClaimState.SENT and not accepted:
            yield "called sent, but was not", f"{_claim_key(row)}"


def ended_runs_are_silent(world: World, _: Expected) -> Iterator[Violation]:
    """After an enrolment was superseded or exited nothing of it is claimed, nor marked to send."""
    ended: dict[str, int] = {}
    for written in world.tables.history:
        row = written.new
        if isinstance(row, EnrolmentRow) and row.state in (
            EnrolmentState.SUPERSEDED,
            EnrolmentState.EXITED,
            EnrolmentState.CANCELLED,
        ):
            ended.setdefault(row.enrolment, written.step)
    for written in world.tables.history:
        row = written.new
        if not isinstance(row, ClaimRow) or row.enrolment not in ended:
            continue
        begins = written.old is None or row.state is ClaimState.SENDING
        if begins and written.step > ended[row.enrolment]:
            yield "an ended run sends", f"{row.state} {_claim_key(row)}"


def in_time(world: World, _: Expected) -> Iterator[Violation]:
    """No invocation that begins later than a message is good for sends it."""
    claims = {_claim_key(row): row for row in rows_of(world.tables, ClaimRow)}
    for accepted in world.provider.accepted:
        claim = claims[tuple(accepted.claim.model_dump().values())]
        if accepted.began > claim.not_after:
            yield "sent too late", f"{_claim_key(claim)}"


def one_enrolment_a_slot(world: World, _: Expected) -> Iterator[Violation]:
    """Of a subject no two triggers enter the same slot, and of those that came together only one
    carries on. Nothing begins for a subject that has been merged already."""
    slots: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    merges = _merges(world)
    for written in world.tables.history:
        row = written.new
        if not isinstance(row, EnrolmentRow | ClaimRow):
            continue
        if written.old is None and _root_at(merges, row.subject, written.step) != row.subject:
            yield "begun for a merged subject", f"{row.pk} {row.sk}"
        if isinstance(row, EnrolmentRow):
            place = (row.subject, row.playbook, row.slot)
            slots[place].add(row.enrolment)
            if row.state is EnrolmentState.SUPERSEDED:
                slots[place].discard(row.enrolment)
            if len(slots[place]) > 1:
                yield "two enrolments of a slot", f"{place}"


def held_out_get_nothing(world: World, _: Expected) -> Iterator[Violation]:
    """Holdout is assigned once; only a merge changes it, and then holdout wins. Nobody in it, as
    far as is known at the claim, is sent anything."""
    current: dict[str, bool | None] = {}
    for step in _by_step(world):
        for written in step:
            row, old = written.new, written.old
            if not isinstance(row, SubjectRow):
                continue
            if row.merged_into is not None and row.holdout:
                winners = {one.new.pk: one.new for one in step}
                winner = winners.get(SubjectRow.ref_to(row.merged_into).pk)
                if not (isinstance(winner, SubjectRow) and winner.holdout):
                    yield "holdout lost", f"{row.subject} into {row.merged_into}"
            before = old.holdout if isinstance(old, SubjectRow) else None
            absorbed = old.absorbed if isinstance(old, SubjectRow) else ()
            merged = row.absorbed != absorbed
            if before is not None and row.holdout != before and not (merged and row.holdout):
                yield "holdout changed", f"{row.subject}: {before} -> {row.holdout}"
            current[row.subject] = row.holdout
        for written in step:
            row = written.new
            if isinstance(row, ClaimRow) and written.old is None:
                if current.get(row.subject) is not False:
                    yield "claim for the held out", f"{_claim_key(row)}"


def _by_step(world: World) -> Iterator[list[Written]]:
    steps: dict[int, list[Written]] = defaultdict(list)
    for written in world.tables.history:
        steps[written.step].append(written)
    yield from (steps[step] for step in sorted(steps))


def everything_in_the_ledger(world: World, _: Expected) -> Iterator[Violation]:
    """Starts, branches, each action of the branch taken, deliveries and ends; and each line was
    announced."""
    lines = {(row.enrolment, row.step, row.action, row.phase): row for row in _ledger(world)}
    for row in rows_of(world.tables, EnrolmentRow):
        wanted = [("-", "-", "start"), *_decided(row)]
        if row.state is not EnrolmentState.RUNNING:
            wanted.append(("-", "-", "end"))
        for place in wanted:
            if (row.enrolment, *place) not in lines:
                yield "not in the ledger", f"{row.playbook} {row.enrolment} {place}"
    for claim in rows_of(world.tables, ClaimRow):
        place = (claim.enrolment, claim.step, claim.action, "delivery")
        if place not in lines:
            yield "not in the ledger", f"{place} {claim.state}"
        elif lines[place].outcome != claim.state:
            yield "ledger differs", f"{place}: {lines[place].outcome}, {claim.state}"
    said = set()
    for record in world.topics.records(Topic.DECISIONS_MADE):
        message = DecisionMade.decode(record.value or b"")
        said.add((message.enrolment, message.step, message.action, str(message.outcome)))
    for row in _ledger(world):
        if (row.enrolment, row.step, row.action, str(row.outcome)) not in said:
            yield "not announced", f"{row.pk} {row.sk}"


def _ledger(world: World) -> list[DecisionRow]:
    return rows_of(world.tables, DecisionRow)


def _decided(row: EnrolmentRow) -> Iterator[tuple[str, str, str]]:
    """What the ledger must hold of the steps that the enrolment has gone through."""
    playbook = version_of(row)
    for step in playbook.steps:
        taken = row.branches.get(step.name)
        if taken is None:
            continue
        if step.branches or taken == "skipped":
            yield (step.name, "-", "branch")
        for branch in step.all_branches():
            if branch.name == taken:
                yield from ((step.name, action.name, "gate") for action in branch.actions)


def one_ledger_line_each(world: World, _: Expected) -> Iterator[Violation]:
    """A decision is made once, whichever subject it is filed under. That a replay started nothing
    decides nothing: it may be noted for each subject that the person has had."""
    seen: dict[tuple[str, ...], DecisionRow] = {}
    for row in _ledger(world):
        if row.step == "replay":
            continue
        key = (row.enrolment, row.step, row.action, row.phase)
        if key in seen:
            yield "decided twice", f"{key}: {seen[key].reason}, {row.reason}"
        seen[key] = row


def nothing_set_aside(world: World, _: Expected) -> Iterator[Violation]:
    """No record was put into quarantine: all were sound."""
    for mapping in world.mappings:
        for record, reason in mapping.quarantined:
            yield "quarantined", f"{mapping.name} {record.topic}@{record.offset}: {reason}"
    for refusal in world.refused:
        yield "webhook refused", refusal
    if len(world.answered) < len(world.scenario.posts):
        yield "unanswered", f"{len(world.scenario.posts) - len(world.answered)} webhooks"


def alerts_are_about_their_own(world: World, truth: Expected) -> Iterator[Violation]:
    """A trial's enrolment ends under the subject that the trial's person belongs to by now, or
    under one that it once was: it never moves to a stranger."""
    if not world.scenario.exact:
        return
    for event in truth.events:
        if event.name != "trial_signup":
            continue
        home = _home(world, event.account_key, event.fragment)
        message = ResolvedEvent(event=event, person="", subject="")
        for entry in entries_of_event(message, PLAYBOOK_LIST):
            row = world.tables.get(EnrolmentRow.ref_to(entry.enrolment))
            if row is not None:
                root = trace_subject(world.tables, row.subject)[0].subject
                if root != home:
                    yield "enrolled elsewhere", f"{entry.id}: {root}, not {home}"


def _home(world: World, account: str, fragment: str) -> str:
    from tests.simulation.counting import account_root

    return (account_root(world, account) if account != "-" else None) or subject_root(
        world, fragment
    )


DECIDING = (
    started_or_said_why,
    replays_start_nothing,
    runs_end,
    somebody_carries_on,
    single_sends,
    sends_match_claims,
    ended_runs_are_silent,
    in_time,
    one_enrolment_a_slot,
    held_out_get_nothing,
    everything_in_the_ledger,
    one_ledger_line_each,
    nothing_set_aside,
    alerts_are_about_their_own,
)
