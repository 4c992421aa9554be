"""Each gate objects to what it is for and to nothing else; the first to object decides."""

from __future__ import annotations

from typing import Any

import pytest

from desireline.intervene.gate import (
    GATES,
    GateFacts,
    channel,
    opt_out,
    pass_gates,
)
from desireline.intervene.holdout import with_holdout
from desireline.intervene.playbook.playbooks import Audience
from desireline.journey.state import JourneyState
from desireline.rows import ClaimRow, ClaimState, SubjectRow


def facts(**changes: Any) -> GateFacts:
    given: dict[str, Any] = {
        "subject": "s",
        "channel": "csm_alert",
        "audience": Audience.PROSPECTS,
        "now": 100,
        "not_after": 100,
    }
    return GateFacts(**{**given, **changes})


def claim(subject: str, state: ClaimState) -> ClaimRow:
    return ClaimRow(
        subject=subject,
        playbook="p",
        playbook_version=1,
        slot="once",
        step="a",
        action="b",
        enrolment="e",
        channel="csm_alert",
        state=state,
        title="t",
        body="b",
        decided_at=1,
        not_after=2,
    )


EVERYTHING: dict[str, Any] = {
    "killed": True,
    "converted": True,
    "earlier": (claim("s", ClaimState.SENT),),
    "holdout": True,
    "suppressions": ("complaint",),
    "now": 101,
    "behind": True,
    "ambiguous": True,
    "channel": "email",
}
"""By the order of the gates: what makes each object."""


def test_without_objection_it_passes() -> None:
    assert pass_gates(facts()) is None


@pytest.mark.parametrize(
    ("change", "gate", "reason"),
    [
        ({"killed": True}, "kill_switch", "killed"),
        ({"converted": True}, "converted", "already_converted"),
        ({"earlier": (claim("s", ClaimState.SENT),)}, "already_sent", "claimed_by:e"),
        ({"holdout": True}, "holdout", "held_out"),
        ({"suppressions": ("complaint",)}, "consent", "suppressed:complaint"),
        ({"opted_out": "email_unsubscribed"}, "consent", "opted_out:email_unsubscribed"),
        ({"now": 101}, "stale", "too_late"),
        ({"behind": True}, "pipeline", "pipeline_behind"),
        ({"ambiguous": True, "channel": "email"}, "identity", "ambiguous_person"),
        ({"channel": "email"}, "channel", "channel_not_available"),
        ({"channel": "in_app"}, "channel", "channel_not_available"),
        ({"channel": "crm"}, "channel", "channel_not_available"),
    ],
)
def test_each_gate_objects(change: dict[str, Any], gate: str, reason: str) -> None:
    refusal = pass_gates(facts(**change))
    assert refusal is not None
    assert (refusal.gate, refusal.reason) == (gate, reason)


def test_the_first_gate_in_order_decides_and_the_channel_is_last() -> None:
    given = dict(EVERYTHING)
    order = []
    for changed in EVERYTHING:
        refusal = pass_gates(facts(**given))
        assert refusal is not None
        order.append(refusal.gate)
        del given[changed]
    assert order == [gate.__name__ for gate in GATES]
    assert GATES[-1] is channel


@pytest.mark.parametrize("state", list(ClaimState))
def test_a_claim_of_an_absorbed_subject_counts_unless_it_was_surely_never_sent(
    state: ClaimState,
) -> None:
    refusal = pass_gates(facts(earlier=(claim("absorbed", state),)))
    never = state in (ClaimState.CANCELLED, ClaimState.EXPIRED)
    assert (refusal is None) is never


@pytest.mark.parametrize("state", list(ClaimState))
def test_an_own_claim_stands_whatever_became_of_it(state: ClaimState) -> None:
    assert pass_gates(facts(earlier=(claim("s", state),))) is not None


def test_a_playbook_for_everyone_goes_to_customers_too() -> None:
    assert pass_gates(facts(converted=True, audience=Audience.EVERYONE)) is None


def test_an_ambiguous_person_may_be_talked_about_but_not_to() -> None:
    live = {"email", "csm_alert"}
    assert pass_gates(facts(ambiguous=True, live=live)) is None
    assert pass_gates(facts(ambiguous=True, channel="email", live=live)) is not None
    assert pass_gates(facts(channel="email", live=live)) is None


def test_refusing_email_refuses_email_alone() -> None:
    known = JourneyState(first={"email_marked_spam": (1, "e")})
    assert opt_out(known, "email") == "email_marked_spam"
    assert opt_out(known, "csm_alert") is None


def test_the_holdout_is_drawn_once_and_kept() -> None:
    # Given subjects, and 20 percent held out
    subjects = [SubjectRow(subject=f"s{n}") for n in range(2_000)]
    drawn = [with_holdout(subject, 20) for subject in subjects]
    # Then about as many are, the same ones every time, and more percent only add to them
    assert 340 <= sum(bool(row.holdout) for row in drawn) <= 460
    assert drawn == [with_holdout(subject, 20) for subject in subjects]
    more = [with_holdout(subject, 40) for subject in subjects]
    assert all(wide.holdout for row, wide in zip(drawn, more, strict=True) if row.holdout)
    # And what is stored stands, whatever the percentage becomes
    assert all(with_holdout(row, 100) is row and with_holdout(row, 0) is row for row in drawn)
    assert not any(with_holdout(row, 0).holdout for row in subjects)
    assert all(with_holdout(row, 100).holdout for row in subjects)
