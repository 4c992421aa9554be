"""StartInterventions: a trigger becomes one enrolment, or a reason (rule 7)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from desireline.contracts import EXECUTION_NAME_LIMIT, Header, Topic
from desireline.errors import ThrottledError, UnavailableError
from desireline.events import (
    Alias,
    AliasType,
    CanonicalEvent,
    Crossing,
    JourneyScored,
    Message,
    RawPointer,
    ResolvedEvent,
    Stage,
    Stamps,
    Tier,
)
from desireline.intervene.playbook.playbooks import load
from desireline.intervene.playbook.triggers import entries_of_score, execution_name
from desireline.intervene.start_interventions import StartInterventions
from desireline.journey.crossings import crossings
from desireline.records import BatchResult, Record
from desireline.rows import (
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    SetAsideRow,
    SlotRow,
    SubjectRow,
)
from tests.worlds.intervening import DAY, ENTRY, HOUR, Scene, assessed


def resolved(subject: str, event_id: str = "ev", name: str = "trial_signup") -> ResolvedEvent:
    event = CanonicalEvent(
        event_id=event_id,
        name=name,
        category="product",
        source="segment",
        occurred_at=ENTRY,
        received_at=ENTRY,
        aliases=(Alias(type=AliasType.USER, value="u", fragment=subject),),
        raw=RawPointer(id="r"),
        stamps=Stamps(received=1, resolved=2),
    )
    return ResolvedEvent(event=event, person=subject, subject=subject)


def scored(before: Tier | None, after: Tier | None, version: int = 3) -> JourneyScored:
    previous, current = assessed(before), assessed(after)
    return JourneyScored(
        subject="s",
        version=version,
        current=current,
        previous=previous,
        crossings=crossings(previous, current),
        stamps=Stamps(scored=5),
    )


def record(message: Message | None, **headers: bytes) -> Record:
    topic = Topic.JOURNEYS_SCORED if isinstance(message, JourneyScored) else Topic.EVENTS_RESOLVED
    value = None if message is None else message.encode()
    return Record(
        topic, 0, 7, ENTRY, b"k", value, {k.replace("_", "-"): v for k, v in headers.items()}
    )


def start(scene: Scene, *messages: Message | None, **headers: bytes) -> BatchResult:
    return StartInterventions(
        store=scene.store,
        workflow=scene.workflow,
        playbooks=scene.playbooks,
        clock=scene.clock,
        wall=scene.wall,
        metrics=scene.metrics,
        holdout_percent=scene.holdout_percent,
    )([record(message, **headers) for message in messages])


def decisions(scene: Scene) -> list[tuple[str, str, str]]:
    return [(row.subject, str(row.outcome), row.reason) for row in scene.rows(DecisionRow)]


def test_a_signup_is_enrolled_and_started_under_ids_alone() -> None:
    # Given a subject, and its trial_signup
    scene = Scene()
    scene.subject("s")
    # When the record comes
    result = start(scene, resolved("s"))
    # Then there is an enrolment with its slot and a line in the ledger
    (enrolment,) = scene.rows(EnrolmentRow)
    assert len(result.done) == 1
    assert (enrolment.subject, enrolment.entry_id, enrolment.entry_at) == ("s", "ev", ENTRY)
    assert (
        scene.row(SlotRow.ref_to("s", "integration_first", "once")).enrolment == enrolment.enrolment
    )
    assert decisions(scene) == [("s", "enrolled", "triggered")]
    # And one execution, whose input is an id
    (name,) = scene.workflow.started
    assert name == f"integration_first-{UUID(enrolment.enrolment).hex}"
    assert scene.workflow.started[name] == {"enrolment": enrolment.enrolment}


def test_a_record_that_comes_again_starts_the_same_execution() -> None:
    scene = Scene()
    scene.subject("s")
    for _ in range(3):
        start(scene, resolved("s"))
    assert len(scene.workflow.started) == len(scene.rows(EnrolmentRow)) == 1
    assert scene.workflow.calls == 3, "nobody can know whether the first start got through"


def test_an_enrolment_that_has_ended_is_not_started_again() -> None:
    scene = Scene()
    scene.subject("s")
    start(scene, resolved("s"))
    (row,) = scene.rows(EnrolmentRow)
    scene.put(row.but(state=EnrolmentState.COMPLETED))
    start(scene, resolved("s"))
    assert scene.workflow.calls == 1


def test_a_start_that_failed_is_made_up_for_even_when_the_trigger_is_old_by_then() -> None:
    # Given an enrolment whose execution could not be started
    scene = Scene()
    scene.subject("s")
    scene.workflow.failing = UnavailableError("down")
    assert [reason for _, reason in start(scene, resolved("s")).failed] == ["UnavailableError"]
    # When the record is retried, two days later
    scene.workflow.failing = None
    scene.clock.at += 2 * DAY
    start(scene, resolved("s"))
    # Then it is started: whether anything is still to be sent is for the check to say
    assert len(scene.workflow.started) == 1


def test_a_second_signup_of_the_subject_is_refused_with_its_reason() -> None:
    scene = Scene()
    scene.subject("s")
    start(scene, resolved("s", "first"), resolved("s", "second"), resolved("s", "second"))
    assert decisions(scene) == [
        ("s", "enrolled", "triggered"),
        ("s", "not_enrolled", "already_enrolled"),
    ]
    assert len(scene.workflow.started) == 1


@pytest.mark.parametrize("named", ["s", "old"])
def test_the_first_decision_stands_after_a_merge(named: str) -> None:
    # Given a second signup that was refused, and then a merge
    scene = Scene()
    scene.subject("s")
    scene.subject("old")
    start(scene, resolved("s", "first"), resolved("s", "second"))
    scene.merge("s", "old")
    # When that signup is delivered again, as it was, or resolved anew
    start(scene, resolved(named, "second"))
    # Then it is not enrolled by way of the survivor's free slot
    assert len(scene.rows(EnrolmentRow)) == 1


@pytest.mark.parametrize(("age", "outcome"), [(DAY, "enrolled"), (DAY + 1, "not_enrolled")])
def test_a_trigger_older_than_its_playbook_allows_starts_nothing(age: int, outcome: str) -> None:
    scene = Scene()
    scene.subject("s")
    scene.clock.at = ENTRY + age
    start(scene, resolved("s"))
    assert [row[1] for row in decisions(scene)] == [outcome]
    assert len(scene.workflow.started) == (outcome == "enrolled")


def test_a_replay_starts_nothing_and_stands_in_nobodys_way() -> None:
    # Given a replay that overtakes the original
    scene = Scene()
    scene.subject("s")
    start(scene, resolved("s"), replay=b"1")
    start(scene, resolved("s"), replay=b"1")
    assert decisions(scene) == [("s", "not_enrolled", "replay")]
    assert scene.workflow.calls == 0
    # When the original comes
    start(scene, resolved("s"))
    # Then it is enrolled
    assert ("s", "enrolled", "triggered") in decisions(scene)
    # And a replay of what is enrolled does not start it again either
    start(scene, resolved("s"), replay=b"1")
    assert scene.workflow.calls == 1


def test_a_redriven_record_is_no_replay() -> None:
    scene = Scene()
    scene.subject("s")
    start(scene, resolved("s"), redrive_id=b"1")
    assert len(scene.workflow.started) == 1
    assert Header.REDRIVE_ID == "redrive-id"


def test_a_merge_before_the_start_is_followed() -> None:
    scene = Scene()
    scene.subject("young")
    scene.subject("old")
    scene.merge("young", "old")
    start(scene, resolved("young"))
    (enrolment,) = scene.rows(EnrolmentRow)
    assert enrolment.subject == "old"
    assert decisions(scene) == [("old", "enrolled", "triggered")]


def test_a_merge_between_read_and_write_is_noticed() -> None:
    # Given a merge just before the enrolment is written
    scene = Scene()
    scene.subject("young")
    scene.subject("old")
    scene.store.before_write.append(lambda: scene.merge("young", "old"))
    # When the record comes
    start(scene, resolved("young"))
    # Then no tombstone is enrolled
    assert [row.subject for row in scene.rows(EnrolmentRow)] == ["old"]
    assert [row.subject for row in scene.rows(SlotRow)] == ["old"]


def test_two_copies_enrol_once() -> None:
    scene = Scene()
    scene.subject("s")
    scene.store.before_write.append(lambda: start(scene, resolved("s")) and None)
    start(scene, resolved("s"))
    assert len(scene.rows(EnrolmentRow)) == len(scene.workflow.started) == 1


def test_an_enrolment_that_a_dying_copy_has_just_made_is_started() -> None:
    """The copy wrote it after this one had looked for it, and died before the start."""
    scene = Scene()
    get, pending = scene.store.get, ["the copy"]

    def interrupted(ref: Any) -> Any:
        if ref.type is SubjectRow and pending:
            pending.clear()
            scene.workflow.failing = UnavailableError("died")
            start(scene, resolved("s"))
            scene.workflow.failing = None
        return get(ref)

    scene.store.get = interrupted  # type: ignore[method-assign]

    result = start(scene, resolved("s"))

    assert len(result.done) == 1
    assert len(scene.workflow.started) == 1


def test_of_two_signups_at_the_same_time_one_is_enrolled() -> None:
    scene = Scene()
    scene.subject("s")
    scene.store.before_write.append(lambda: start(scene, resolved("s", "quick")) and None)
    start(scene, resolved("s", "slow"))
    (enrolment,) = scene.rows(EnrolmentRow)
    assert enrolment.entry_id == "quick"
    assert ("s", "not_enrolled", "already_enrolled") in decisions(scene)


def test_a_person_whom_nothing_was_ever_linked_to_is_a_subject_too() -> None:
    # Given a trial_signup of a person without any row
    scene = Scene(holdout_percent=100)
    start(scene, resolved("fragment"))
    assert [row.subject for row in scene.rows(EnrolmentRow)] == ["fragment"]
    # Then its assignment is stored, on a row that claims no age
    row = scene.row(SubjectRow.ref_to("fragment"))
    assert (row.holdout, row.created, row.persons) == (True, 0, ("fragment",))
    # And so it holds after a merge into a subject that is not held out
    scene.subject("old", holdout=False)
    scene.merge("fragment", "old")
    scene.happened("fragment")
    (enrolment,) = scene.rows(EnrolmentRow)
    scene.check(enrolment.enrolment)
    assert scene.ledger("gate")["welcome", "welcome_email"][1] == "holdout"


def test_the_holdout_is_assigned_with_the_enrolment() -> None:
    scene = Scene(holdout_percent=100)
    scene.subject("s")
    start(scene, resolved("s"))
    assert scene.row(SubjectRow.ref_to("s")).holdout is True
    assert len(scene.workflow.started) == 1, "held back at the gate, where the ledger shows it"


# --- triggers


@pytest.mark.parametrize(
    ("before", "after", "starts"),
    [
        (None, Tier.HOT, True),
        (Tier.AT_RISK, Tier.HOT, True),
        (Tier.WARM, Tier.HOT, True),
        (Tier.HOT, Tier.HOT, False),
        (Tier.HOT, Tier.WARM, False),
        (Tier.NURTURE, Tier.WARM, False),
        (None, None, False),
    ],
)
def test_a_crossing_up_to_hot_starts_the_hot_lead(
    before: Tier | None, after: Tier | None, starts: bool
) -> None:
    scene = Scene()
    scene.subject("s")
    start(scene, scored(before, after))
    assert [row.entry_id for row in scene.rows(EnrolmentRow)] == (["s+3"] if starts else [])


def test_each_crossing_is_an_entry_and_a_window_admits_one() -> None:
    # Given a lead that cools and gets hot again within the week, and again a week later
    scene = Scene()
    scene.subject("s")
    start(scene, scored(None, Tier.HOT, 1), scored(Tier.WARM, Tier.HOT, 3))
    late = scored(Tier.WARM, Tier.HOT, 5)
    late = late.model_copy(update={"current": assessed(Tier.HOT, as_of=ENTRY + 7 * DAY)})
    start(scene, late)
    assert [row.entry_id for row in scene.rows(EnrolmentRow)] == ["s+1", "s+5"]


def test_a_change_of_stage_can_be_a_trigger() -> None:
    hot = load().at("hot_lead", 1)
    trigger = hot.trigger.model_copy(update={"tier": None, "stage": Stage.AT_RISK})
    playbook = hot.model_copy(update={"trigger": trigger})
    changed = scored(Tier.WARM, Tier.WARM).model_copy(
        update={"crossings": (Crossing(kind="stage", before="habit", after="at_risk"),)}
    )
    back = changed.model_copy(
        update={"crossings": (Crossing(kind="stage", before="at_risk", after="habit"),)}
    )
    assert len(entries_of_score(changed, [playbook])) == 1
    assert entries_of_score(back, [playbook]) == []


def test_other_events_and_tombstones_start_nothing() -> None:
    scene = Scene()
    result = start(scene, resolved("s", name="logged_in"), None)
    assert (len(result.done), len(result.skipped)) == (1, 1)
    assert scene.store.rows == {}


def test_an_unreadable_record_is_set_aside_and_holds_up_nobody() -> None:
    # Given a record that nobody can read, before a good one
    scene = Scene()
    scene.subject("s")
    use_case: Any = StartInterventions(
        store=scene.store,
        workflow=scene.workflow,
        playbooks=scene.playbooks,
        clock=scene.clock,
        wall=scene.wall,
        metrics=scene.metrics,
        holdout_percent=0,
    )
    bad = Record(Topic.EVENTS_RESOLVED, 1, 2, ENTRY, b"k", b"{}")
    # When both come, twice
    for _ in range(2):
        result = use_case([bad, record(resolved("s"))])
        assert [reason for _, reason in result.quarantined] == ["unreadable_record"]
        assert len(result.done) == 1
    # Then the quarantine names it
    assert scene.metrics.counts["records_quarantined"] == 2
    (row,) = scene.rows(SetAsideRow)
    assert row.expires == scene.wall.now() // 1000 + 30 * 86_400
    assert (row.topic, row.partition, row.offset, row.component) == (
        "events.resolved",
        1,
        2,
        "intervene",
    )


def test_a_throttled_table_leaves_the_record_to_be_retried_and_takes_the_next() -> None:
    scene = Scene()
    scene.subject("s")
    scene.subject("t")

    def slow_down() -> None:
        raise ThrottledError("slow down")

    scene.store.before_write.append(slow_down)
    result = start(scene, resolved("s", "a"), resolved("t", "b"))
    assert [reason for _, reason in result.failed] == ["ThrottledError"]
    assert [row.subject for row in scene.rows(EnrolmentRow)] == ["t"]


def test_an_execution_name_fits_whatever_the_playbook_is_called() -> None:
    name = execution_name("p" * 64, "6f1c2f0a-7d5e-5a34-9c1b-2a3f0f6d9e41")
    assert name == "p" * 40 + "-6f1c2f0a7d5e5a349c1b2a3f0f6d9e41"
    assert len(name) <= EXECUTION_NAME_LIMIT
    assert HOUR
