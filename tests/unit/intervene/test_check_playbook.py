"""CheckPlaybook: what a checkpoint decides, and that it decides once (rules 8, 9, 11)."""

from __future__ import annotations

import numpy as np
import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import TerminalError, UnavailableError
from desireline.intervene.check_playbook import BEHIND_PATIENCE_MS, CheckResult
from desireline.intervene.playbook.playbooks import Library
from desireline.rows import (
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    PersonRow,
    Put,
    SlotRow,
    StateRow,
    SubjectRow,
    SuppressionRow,
)
from desireline.score.features import matrix
from tests.worlds.intervening import ENTRY, HOUR, Scene


def running(scene: Scene, subject: str = "s", **happened: float) -> None:
    scene.subject(subject, "group:a")
    scene.happened(subject, **happened)
    scene.enrol(subject)


def at(scene: Scene, hours: float) -> CheckResult:
    """Check as the workflow does, at that many hours after the entry."""
    scene.clock.at = int(ENTRY + hours * HOUR)
    result: CheckResult = scene.check("e1")
    return result


def branches(scene: Scene, enrolment: str = "e1") -> dict[str, str]:
    found: dict[str, str] = scene.row(EnrolmentRow.ref_to(enrolment)).branches
    return found


def test_a_first_check_writes_down_what_no_channel_can_send_and_waits_for_the_next() -> None:
    # Given a trial that has just been enrolled
    scene = Scene()
    running(scene)
    # When it is checked at once
    result = at(scene, 0)
    # Then the welcome is in the ledger, though there is no channel for it, and nothing is claimed
    assert scene.ledger("gate") == {
        ("welcome", "welcome_email"): ("suppressed", "channel", "channel_not_available")
    }
    assert scene.claims() == {}
    assert result == CheckResult(done=False, due=ENTRY + 4 * HOUR)


def test_a_trial_that_connects_nothing_goes_through_all_four_checkpoints() -> None:
    # Given a trial without an integration or a project
    scene = Scene()
    running(scene, logged_in=1)
    # When all checks are made at their due times
    results = [at(scene, hours) for hours in (0, 4, 24, 48)]
    # Then each is told when the next one is, and the last branch leaves the playbook
    assert [result.due for result in results] == [ENTRY + h * HOUR for h in (4, 24, 48)] + [None]
    assert branches(scene) == {
        "welcome": "always",
        "first_connection": "needs_assistance",
        "assisted_connection": "still_not_connected",
        "first_project": "neither",
    }
    assert set(scene.claims()) == {"setup_help_alert", "personal_setup_alert", "sales_call_alert"}
    # And every action of the three branches is in the ledger, and so is the end
    assert len(scene.ledger("gate")) == 1 + 4 + 5 + 5
    assert scene.ledger("end") == {("-", "-"): ("completed", None, "left:neither")}
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.COMPLETED


def test_a_trial_that_connects_at_once_skips_the_24_hours_step() -> None:
    # Given a trial that connected after an hour
    scene = Scene()
    running(scene, integration_connected=1)
    # When it is checked
    results = [at(scene, hours) for hours in (0, 4, 48)]
    # Then it is next checked at 48 hours, where it is halfway, and the skipped step is recorded
    assert [result.due for result in results] == [ENTRY + 4 * HOUR, ENTRY + 48 * HOUR, None]
    assert scene.ledger("branch")["assisted_connection", "-"][2] == "skipped"
    assert branches(scene)["first_project"] == "halfway"
    assert scene.claims() == {}


def test_who_connects_between_4_and_24_hours_counts_as_assisted() -> None:
    scene = Scene()
    running(scene)
    at(scene, 0)
    at(scene, 4)
    scene.happened("s", integration_connected=5)
    at(scene, 24)
    assert branches(scene)["assisted_connection"] == "connected_assisted"


def test_a_check_before_its_time_decides_nothing() -> None:
    scene = Scene()
    running(scene)
    at(scene, 0)
    assert at(scene, 3.9999) == CheckResult(done=False, due=ENTRY + 4 * HOUR)
    assert set(branches(scene)) == {"welcome"}


def test_a_due_time_is_given_in_whole_seconds_rounded_up() -> None:
    scene = Scene()
    running(scene)
    row = scene.row(EnrolmentRow.ref_to("e1"))
    scene.put(row.but(entry_at=ENTRY + 1))
    scene.clock.at = ENTRY + 1
    assert scene.check("e1").due == ENTRY + 4 * HOUR + 1000


def test_an_alert_says_who_why_and_how_to_reach_them() -> None:
    # Given a hot lead
    scene = Scene(probability=0.93)
    scene.subject("s", "group:a")
    scene.happened("s", integration_connected=1, project_created=2)
    scene.enrol("s", playbook="hot_lead")
    # When it is checked
    assert at(scene, 2) == CheckResult(done=True)
    # Then the claim holds the alert
    claim = scene.claims()["hot_lead_alert"]
    assert claim.title == "Hot lead: Ada (Analytical), score 93"
    for line in (
        "Name: Ada",
        "Account: Analytical",
        "Score: 93 (hot)",
        "Integration connected: yes",
        "Projects created: 1",
        "Last active: 2024-10-04 02:00 UTC",
        "Contact: mailto:ada@example.com",
    ):
        assert line in claim.body.splitlines()
    assert "Why:\n- " in claim.body
    assert claim.attributes == {
        "severity": "critical",
        "owner": "unassigned",
        "segment": "unknown",
        "playbook": "hot_lead",
        "tier": "hot",
    }
    assert claim.not_after == ENTRY + 4 * HOUR
    # And the stamps of the trigger, with the time of the decision
    assert (claim.stamps.received, claim.stamps.decided) == (1, scene.wall.now())


def test_a_step_that_waited_carries_no_stamps_of_its_trigger() -> None:
    scene = Scene()
    running(scene)
    at(scene, 0)
    at(scene, 4)
    stamps = scene.claims()["setup_help_alert"].stamps
    assert (stamps.received, stamps.resolved, stamps.decided) == (None, None, scene.wall.now())


def test_a_lead_that_is_hot_no_more_is_not_called_hot() -> None:
    scene = Scene(probability=0.89)
    scene.subject("s")
    scene.happened("s")
    scene.enrol("s", playbook="hot_lead")
    at(scene, 0)
    assert scene.ledger("branch")["alert", "-"] == ("branched", None, "cooled")
    assert scene.claims() == {}


def test_the_goal_ends_the_run_and_takes_along_what_is_not_sent() -> None:
    # Given an alert that is claimed and not yet sent
    scene = Scene()
    running(scene)
    at(scene, 0)
    at(scene, 4)
    # When they pay, and the next check comes
    scene.happened("s", trial_to_paid_conversion=5)
    assert at(scene, 24) == CheckResult(done=True)
    # Then the run has ended with a reason, and the alert is cancelled with one
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.EXITED
    assert scene.ledger("end")["-", "-"][2] == "goal:trial_to_paid_conversion"
    assert scene.claims()["setup_help_alert"].state is ClaimState.CANCELLED
    assert scene.ledger("delivery")["first_connection", "setup_help_alert"][0] == "cancelled"


def test_a_repeated_check_answers_as_the_first_one_and_writes_nothing() -> None:
    # Given a check that has been made
    scene = Scene()
    running(scene)
    at(scene, 0)
    first = at(scene, 4)
    writes = scene.store.writes
    # When it is repeated, after the facts have changed
    scene.happened("s", integration_connected=4.5)
    again = [at(scene, 4), at(scene, 4.6)]
    # Then it says the same, and the first decision stands
    assert again == [first, first]
    assert scene.store.writes == writes + 1, "the state, no decision"
    assert branches(scene)["first_connection"] == "needs_assistance"


def test_a_check_whose_answer_was_lost_finds_its_own_decision() -> None:
    # Given a check whose write is applied and whose answer is lost
    scene = Scene()
    running(scene)
    at(scene, 0)

    def lost() -> None:
        raise UnavailableError("no answer")

    scene.store.after_write.append(lost)
    with pytest.raises(UnavailableError):
        at(scene, 4)
    # When the workflow repeats it
    result = at(scene, 4)
    # Then nothing is decided twice
    assert result.due == ENTRY + 24 * HOUR
    assert len(scene.claims()) == 1


def test_an_ended_enrolment_is_done_and_an_unknown_one_an_error() -> None:
    scene = Scene()
    running(scene)
    scene.put(scene.row(EnrolmentRow.ref_to("e1")).but(state=EnrolmentState.CANCELLED))
    assert scene.check("e1") == CheckResult(done=True)
    with pytest.raises(TerminalError, match="unknown_enrolment"):
        scene.check("nobody")


# --- merges


def test_a_merge_before_the_check_carries_the_enrolment_over() -> None:
    # Given an enrolment of a subject that is merged into another one
    scene = Scene()
    running(scene, "young")
    scene.subject("old", "group:b")
    scene.merge("young", "old")
    # When the check comes
    at(scene, 0)
    # Then it goes on as the survivor's, in the survivor's slot
    assert scene.row(EnrolmentRow.ref_to("e1")).subject == "old"
    assert scene.row(SlotRow.ref_to("old", "integration_first", "once")).enrolment == "e1"
    assert {row.subject for row in scene.rows(DecisionRow)} == {"old"}


def test_a_merge_into_a_subject_with_a_run_of_its_own_supersedes() -> None:
    # Given an unsent alert of a run whose subject is merged into that of another, later run
    scene = Scene()
    running(scene, "young")
    scene.subject("old")
    scene.enrol("old", "e2")
    scene.put(scene.row(EnrolmentRow.ref_to("e2")).but(entry_at=ENTRY + 20 * HOUR))
    at(scene, 0)
    at(scene, 4)
    scene.merge("young", "old")
    # When the check comes
    assert at(scene, 24) == CheckResult(done=True)
    # Then the run has ended, says why, and its alert is cancelled
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.SUPERSEDED
    assert scene.ledger("end")["-", "-"] == ("superseded", None, "merged:e2")
    assert scene.claims()["setup_help_alert"].state is ClaimState.CANCELLED
    # And the other goes on, and says it instead, since the cancelled one surely was never sent
    assert scene.check("e2").due == ENTRY + 24 * HOUR
    assert scene.check("e2").due == ENTRY + 44 * HOUR
    assert scene.row(
        ClaimRow.ref_to("old", "integration_first", "once", "first_connection", "setup_help_alert")
    )


def test_what_an_absorbed_subject_was_sent_is_not_sent_again() -> None:
    # Given an alert that was sent for a subject, which is then merged into another with a run
    scene = Scene()
    running(scene, "young")
    scene.subject("old")
    scene.enrol("old", "e2")
    at(scene, 0)
    at(scene, 4)
    scene.deliver(scene.claims()["setup_help_alert"])
    scene.merge("young", "old")
    # When the survivor's run comes to the same step
    scene.check("e2")
    scene.check("e2")
    # Then it is not claimed again, and the ledger names the earlier one
    row = scene.row(DecisionRow.ref_to("old", "e2", "first_connection", "setup_help_alert", "gate"))
    assert (row.gate, row.reason) == ("already_sent", "claimed_by:e1")
    assert len(scene.provider.accepted) == 1


def test_a_merge_between_the_checks_read_and_its_write_makes_it_read_again() -> None:
    # Given a check that has read everything, and a merge just before it writes
    scene = Scene()
    running(scene, "young")
    scene.subject("old")
    scene.enrol("old", "e2")
    at(scene, 0)
    scene.store.before_write.append(lambda: scene.merge("young", "old"))
    # When it writes
    result = at(scene, 4)
    # Then it finds out, and ends as superseded: nothing is claimed for the tombstone
    assert result == CheckResult(done=True)
    assert scene.claims() == {}
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.SUPERSEDED


def test_two_copies_of_a_check_decide_once() -> None:
    # Given a copy of the check that is quicker
    scene = Scene()
    running(scene)
    at(scene, 0)
    scene.store.before_write.append(lambda: at(scene, 4) and None)
    # When the slower one writes
    result = at(scene, 4)
    # Then both say the same, and there is one decision
    assert result.due == ENTRY + 24 * HOUR
    assert len(scene.claims()) == 1
    assert scene.row(EnrolmentRow.ref_to("e1")).version == 3, "made, welcomed, decided once"


def test_a_claim_that_is_being_sent_when_the_run_ends_is_past_cancelling() -> None:
    # Given an alert that somebody begins to send just before the superseding write
    scene = Scene()
    running(scene, "young")
    scene.subject("old")
    scene.enrol("old", "e2")
    at(scene, 0)
    at(scene, 4)
    scene.merge("young", "old")
    claim = scene.claims()["setup_help_alert"]

    def begin() -> None:
        MemoryStore.write(scene.store, Put(claim.but(state=ClaimState.SENDING)))

    scene.store.before_write.append(begin)
    # When the run ends
    at(scene, 24)
    # Then the claim is left to its sender, and the ledger does not say that it was cancelled
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.SUPERSEDED
    assert scene.claims()["setup_help_alert"].state is ClaimState.SENDING
    assert scene.ledger("delivery") == {}


# --- the gate's facts


def alert_row(scene: Scene) -> tuple[str, str | None, str]:
    at(scene, 0)
    at(scene, 4)
    return scene.ledger("gate")["first_connection", "setup_help_alert"]


def test_a_held_out_subject_is_enrolled_and_told_nothing() -> None:
    scene = Scene(holdout_percent=100)
    running(scene)
    assert alert_row(scene) == ("suppressed", "holdout", "held_out")
    assert scene.row(SubjectRow.ref_to("s")).holdout is True, "assigned with the first check"


def test_a_stored_assignment_stands_when_the_percentage_changes() -> None:
    scene = Scene(holdout_percent=100)
    scene.subject("s", holdout=False)
    scene.happened("s")
    scene.enrol("s")
    assert alert_row(scene)[0] == "claimed"


@pytest.mark.parametrize(
    ("who", "channel", "outcome"),
    [
        ("s", "*", "suppressed"),
        ("group:a", "*", "suppressed"),
        ("s", "csm_alert", "suppressed"),
        ("s", "email", "claimed"),
        ("stranger", "*", "claimed"),
    ],
)
def test_suppressions_of_persons_and_accounts_count(who: str, channel: str, outcome: str) -> None:
    scene = Scene()
    running(scene)
    scene.put(SuppressionRow(target=who, channel=channel, reason="asked", at=1))
    assert alert_row(scene)[0] == outcome


def test_a_claim_names_all_whose_suppression_is_to_cancel_it() -> None:
    # Given a subject of two persons, one with two aliases, and an account
    scene = Scene()
    scene.put(
        SubjectRow(subject="s", persons=("s", "t"), accounts=("group:a",)),
        PersonRow(fragment="t", subject="s", aliases=("anonymous#u", "user#t")),
    )
    scene.happened("s")
    scene.enrol("s")
    # When its alert is claimed
    at(scene, 0)
    at(scene, 4)
    # Then the claim can be found to be suppressed by any of them
    assert sorted(scene.claims()["setup_help_alert"].concerns) == ["group:a", "s", "t", "u"]


def test_a_suppression_that_was_lifted_holds_no_more() -> None:
    scene = Scene()
    running(scene)
    scene.put(SuppressionRow(target="s", reason="asked", at=1, lifted_at=2))
    assert alert_row(scene)[0] == "claimed"


@pytest.mark.parametrize("off", ["all", "integration_first", "csm_alert"])
def test_a_kill_switch_is_seen_before_anything_is_claimed(off: str) -> None:
    scene = Scene()
    running(scene)
    scene.switches.off = {off}
    assert alert_row(scene) == ("suppressed", "kill_switch", "killed")


def test_a_check_that_comes_far_too_late_says_so_and_sends_nothing() -> None:
    # Given a workflow that was down for two days
    scene = Scene()
    running(scene)
    at(scene, 0)
    # When the check of 4 hours comes then
    at(scene, 52)
    # Then the alert is stale, and the next check is due at once
    assert scene.ledger("gate")["first_connection", "setup_help_alert"] == (
        "suppressed",
        "stale",
        "too_late",
    )


def test_an_ambiguous_person_is_talked_about_not_written_to() -> None:
    scene = Scene()
    scene.subject("s")
    scene.put(PersonRow(fragment="s", subject="s", aliases=("user#s",), ambiguous=True))
    scene.happened("s")
    scene.enrol("s")
    assert alert_row(scene)[0] == "claimed"
    email = scene.ledger("gate")["first_connection", "setup_help_email"]
    assert email == ("suppressed", "identity", "ambiguous_person")


def test_what_they_did_under_another_account_is_not_called_undone() -> None:
    # Given a person of this subject who connected an integration in somebody else's account
    scene = Scene()
    running(scene)
    scene.happened("s", "group:elsewhere", integration_connected=1)
    # When the 4-hours check comes
    at(scene, 0)
    at(scene, 4)
    # Then nobody claims that they have connected nothing
    assert branches(scene)["first_connection"] == "connected_fast"


class Pipeline:
    """Behind until told otherwise."""

    def __init__(self) -> None:
        self.is_behind = True

    def behind(self, due: int) -> bool:
        return self.is_behind


def test_while_the_pipeline_is_behind_a_check_waits_and_then_gives_up() -> None:
    # Given a pipeline that is behind
    scene, pipeline = Scene(), Pipeline()
    running(scene)
    at(scene, 0)
    scene.clock.at = ENTRY + 4 * HOUR
    # When the check comes, then it waits a minute
    assert scene.check("e1", pipeline).due == ENTRY + 4 * HOUR + 60_000
    assert set(branches(scene)) == {"welcome"}
    # When it still is after half an hour, then nothing is said of what did not happen
    scene.clock.at += BEHIND_PATIENCE_MS
    scene.check("e1", pipeline)
    assert scene.ledger("gate")["first_connection", "setup_help_alert"] == (
        "suppressed",
        "pipeline",
        "pipeline_behind",
    )


def test_what_has_happened_needs_no_pipeline_that_is_up_to_date() -> None:
    scene, pipeline = Scene(probability=0.95), Pipeline()
    scene.subject("s")
    scene.happened("s")
    scene.enrol("s", playbook="hot_lead")
    scene.clock.at = ENTRY + BEHIND_PATIENCE_MS
    scene.check("e1", pipeline)
    assert scene.ledger("gate")["alert", "hot_lead_alert"][0] == "claimed"


def test_the_score_is_as_of_the_due_time_not_of_the_clock() -> None:
    # Given a check of the 4 hours that comes 20 hours late
    scene = Scene()
    running(scene)
    at(scene, 0)
    scene.model.seen.clear()
    at(scene, 24)
    # Then the model was asked about the trial as it was after 4 hours
    state = scene.row(StateRow.ref_to("s", "-")).state
    (seen,) = scene.model.seen
    expected = matrix([(state, ENTRY + 4 * HOUR)])
    assert np.array_equal(seen, expected, equal_nan=True)
    assert not np.array_equal(seen, matrix([(state, ENTRY + 24 * HOUR)]), equal_nan=True)


def test_an_end_cancels_no_other_runs_messages() -> None:
    # Given a hot lead's alert of the same subject, not yet sent
    scene = Scene(probability=0.95)
    running(scene)
    scene.enrol("s", "e2", playbook="hot_lead")
    scene.check("e2")
    at(scene, 0)
    at(scene, 4)
    # When the first playbook's run ends at its goal
    scene.happened("s", trial_to_paid_conversion=5)
    at(scene, 24)
    # Then only its own message is cancelled
    states = {name: claim.state for name, claim in scene.claims().items()}
    assert states == {
        "hot_lead_alert": ClaimState.CLAIMED,
        "setup_help_alert": ClaimState.CANCELLED,
    }


def test_a_branch_that_leaves_ends_the_run_though_steps_are_left() -> None:
    # Given a playbook whose 4-hours branch leaves
    scene = Scene()
    shipped = scene.playbooks.at("integration_first", 1)
    step = shipped.steps[1]
    leaving = step.branches[1].model_copy(update={"leave": True})
    steps = list(shipped.steps)
    steps[1] = step.model_copy(update={"branches": (step.branches[0], leaving)})
    scene.playbooks = Library([shipped.model_copy(update={"steps": tuple(steps)})])
    running(scene)
    # When that branch is taken
    at(scene, 0)
    assert at(scene, 4) == CheckResult(done=True)
    # Then the run is complete, and what it claimed is still to be sent
    assert scene.ledger("end")["-", "-"] == ("completed", None, "left:needs_assistance")
    assert scene.deliver(scene.claims()["setup_help_alert"]) is ClaimState.SENT
