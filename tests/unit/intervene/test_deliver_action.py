"""DeliverAction: at most one call for a claim, and every end written down (rules 8 and 10)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import (
    ConflictError,
    DeniedError,
    RetryableError,
    TerminalError,
    ThrottledError,
    UnavailableError,
)
from desireline.events import Stamps
from desireline.rows import (
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    Put,
    SuppressionRow,
)
from tests.worlds.intervening import ENTRY, HOUR, READ_TIMEOUT, TIMEOUT, Scene


def claimed(scene: Scene) -> ClaimRow:
    """A claim of a running enrolment."""
    scene.enrol("s")
    scene.put(
        ClaimRow(
            subject="s",
            playbook="integration_first",
            playbook_version=1,
            slot="once",
            step="first_connection",
            action="setup_help_alert",
            enrolment="e1",
            channel="csm_alert",
            recipient="grace",
            title="Help",
            body="Ada needs help",
            attributes={"severity": "warning", "tier": "warm"},
            concerns=("s", "s2", "group:acme"),
            decided_at=ENTRY,
            not_after=ENTRY + 8 * HOUR,
            stamps=Stamps(received=1, resolved=2, scored=3, decided=4),
        )
    )
    return stored(scene)


def stored(scene: Scene) -> ClaimRow:
    (claim,) = scene.rows(ClaimRow)
    assert isinstance(claim, ClaimRow)
    return claim


def ends(scene: Scene) -> list[tuple[str, str, str | None]]:
    return [
        (str(row.outcome), row.reason, row.gate)
        for row in scene.rows(DecisionRow)
        if row.phase == "delivery"
    ]


def enrolment_becomes(scene: Scene, state: EnrolmentState) -> None:
    row = scene.row(EnrolmentRow.ref_to("e1"))
    MemoryStore.write(scene.store, Put(row.but(state=state)))


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_claim_is_sent_once_with_its_stamps_and_written_down() -> None:
    # Given a claim, and sends turned on
    scene = Scene()
    claim = claimed(scene)
    # When its message comes three times
    states = [scene.deliver(claim) for _ in range(3)]
    # Then the provider was called once
    assert states == [ClaimState.SENT] * 3
    (alert,) = scene.provider.accepted
    assert (alert.subject, alert.body) == ("Help", "Ada needs help")
    assert alert.attributes == {
        "severity": "warning",
        "tier": "warm",
        "received": 1,
        "resolved": 2,
        "scored": 3,
        "decided": 4,
    }
    # And claim and ledger say so, with the provider's id and the time
    assert stored(scene).provider_id == "m1"
    assert stored(scene).stamps.delivered == scene.wall.now()
    assert ends(scene) == [("sent", "accepted", None)]
    assert scene.provider.calls == 1


def test_by_default_it_is_recorded_and_what_was_recorded_is_never_sent_later() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.switches.mode = "record"
    assert scene.deliver(claim) is ClaimState.RECORDED
    scene.switches.mode = "live"
    assert scene.deliver(claim) is ClaimState.RECORDED
    assert scene.provider.calls == 0
    assert ends(scene) == [("recorded", "send_mode_record", "send_mode")]


@pytest.mark.parametrize(("allowed", "state"), [({"grace"}, "sent"), ({"ada"}, "recorded")])
def test_an_allowlist_lets_through_whom_it_names(allowed: set[str], state: str) -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.switches.mode, scene.switches.allowlist = "allowlist", allowed
    assert scene.deliver(claim) == state


@pytest.mark.parametrize("off", ["all", "integration_first", "csm_alert"])
def test_a_kill_switch_stops_what_was_claimed_before(off: str) -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.switches.off = {off}
    assert scene.deliver(claim) is ClaimState.CANCELLED
    scene.switches.off = set()
    assert scene.deliver(claim) is ClaimState.CANCELLED
    assert ends(scene) == [("cancelled", "killed", "kill_switch")]
    assert scene.provider.calls == 0


@pytest.mark.parametrize(("late", "state"), [(0, "sent"), (1, "expired")])
def test_after_its_time_it_is_expired(late: int, state: str) -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.clock.at = claim.not_after + late
    assert scene.deliver(claim) == state


@pytest.mark.parametrize(
    ("state", "becomes"),
    [
        (EnrolmentState.RUNNING, "sent"),
        (EnrolmentState.COMPLETED, "sent"),
        (EnrolmentState.EXITED, "cancelled"),
        (EnrolmentState.SUPERSEDED, "cancelled"),
        (EnrolmentState.CANCELLED, "cancelled"),
    ],
)
def test_what_an_ended_run_had_claimed_is_sent_only_if_it_came_to_its_end(
    state: EnrolmentState, becomes: str
) -> None:
    scene = Scene()
    claim = claimed(scene)
    enrolment_becomes(scene, state)
    assert scene.deliver(claim) == becomes


def test_a_supersession_between_reading_and_marking_is_noticed() -> None:
    # Given a run that is superseded just before its claim is marked
    scene = Scene()
    claim = claimed(scene)
    scene.store.before_write.append(lambda: enrolment_becomes(scene, EnrolmentState.SUPERSEDED))
    # When the claim is delivered, then nothing is sent
    assert scene.deliver(claim) is ClaimState.CANCELLED
    assert scene.provider.calls == 0
    assert ends(scene) == [("cancelled", "enrolment_superseded", None)]


def test_a_supersession_while_it_is_only_recorded_is_noticed_too() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.switches.mode = "record"
    scene.store.before_write.append(lambda: enrolment_becomes(scene, EnrolmentState.SUPERSEDED))
    assert scene.deliver(claim) is ClaimState.CANCELLED


@pytest.mark.parametrize("target", ["s", "s2", "group:acme"])
@pytest.mark.parametrize("channel", ["*", "csm_alert"])
def test_a_suppression_after_the_claim_cancels_the_message(target: str, channel: str) -> None:
    # Given a claim whose subject is suppressed while the message waits in its queue
    scene = Scene()
    claim = claimed(scene)
    scene.put(SuppressionRow(target=target, channel=channel, reason="requested", at=1))
    # When the message comes
    state = scene.deliver(claim)
    # Then nobody is called, and the ledger says why
    assert state is ClaimState.CANCELLED
    assert scene.provider.calls == 0
    assert ends(scene) == [("cancelled", "suppressed:requested", "consent")]


def test_suppressions_of_others_and_lifted_ones_and_of_other_channels_cancel_nothing() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.put(
        SuppressionRow(target="stranger", reason="requested", at=1),
        SuppressionRow(target="s", reason="requested", at=1, lifted_at=2),
        SuppressionRow(target="s2", channel="email", reason="requested", at=1),
    )
    assert scene.deliver(claim) is ClaimState.SENT


def test_two_copies_of_a_message_call_once() -> None:
    # Given a second copy of the message that arrives while the first one is with the provider
    scene = Scene()
    claim = claimed(scene)

    def second_copy() -> None:
        scene.provider.meanwhile = lambda: None
        with pytest.raises(RetryableError):
            scene.deliver(claim)

    scene.provider.meanwhile = second_copy
    # When the first one is done
    assert scene.deliver(claim) is ClaimState.SENT
    # Then the second one, which went back to the queue, finds it sent
    assert scene.deliver(claim) is ClaimState.SENT
    assert scene.provider.calls == 1


def test_a_copy_that_is_quicker_to_mark_leaves_the_other_nothing_to_do() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.store.before_write.append(lambda: scene.deliver(claim) and None)
    assert scene.deliver(claim) is ClaimState.SENT
    assert scene.provider.calls == 1


@pytest.mark.parametrize("accepted", [True, False])
def test_no_answer_is_unknown_and_never_sent_again(accepted: bool) -> None:
    # Given a provider whose answer is lost, whether or not it took the alert
    scene = Scene()
    claim = claimed(scene)
    scene.provider.answers = [(accepted, UnavailableError("read timeout"))]
    # When the message comes again and again
    states = [scene.deliver(claim) for _ in range(3)]
    # Then there was one call, and the outcome is reported as unknown
    assert states == [ClaimState.UNKNOWN] * 3
    assert scene.provider.calls == 1
    assert ends(scene) == [("unknown", "no_answer", None)]
    assert scene.metrics.counts["sends_unknown"] == 1


def test_a_refusal_is_final() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.provider.answers = [(False, TerminalError("InvalidParameter"))]
    assert [scene.deliver(claim) for _ in range(2)] == [ClaimState.REFUSED] * 2
    assert ends(scene) == [("refused", "InvalidParameter", None)]
    assert scene.metrics.counts["sends_refused"] == 1


@pytest.mark.parametrize("error", [ThrottledError("slow down"), DeniedError("AccessDenied")])
def test_what_nobody_was_asked_to_send_goes_back_to_the_queue(error: RetryableError) -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.provider.answers = [(False, error)]
    with pytest.raises(type(error)):
        scene.deliver(claim)
    assert stored(scene).state is ClaimState.CLAIMED
    assert ends(scene) == []
    assert scene.deliver(claim) is ClaimState.SENT
    assert stored(scene).attempts == 2
    assert len(scene.provider.accepted) == 1


def test_an_attempt_that_vanished_is_unknown_once_nobody_can_be_at_work_any_more() -> None:
    # Given an attempt that died between marking and writing down, after the provider took it
    scene = Scene()
    claim = claimed(scene)
    scene.provider.meanwhile = failing(MemoryError())
    with pytest.raises(MemoryError):
        scene.deliver(claim)
    scene.provider.meanwhile = lambda: None
    # When the message comes back early, then it is left in the queue
    scene.wall.at += TIMEOUT
    with pytest.raises(UnavailableError):
        scene.deliver(claim)
    assert stored(scene).state is ClaimState.SENDING
    # When it comes back later, then the outcome is unknown, and nobody is called
    scene.wall.at += 1
    assert scene.deliver(claim) is ClaimState.UNKNOWN
    assert ends(scene) == [("unknown", "attempt_vanished", None)]
    assert scene.provider.calls == 1


def test_with_too_little_time_for_the_providers_answer_it_does_not_begin() -> None:
    scene = Scene()
    claim = claimed(scene)
    with pytest.raises(UnavailableError):
        scene.deliver(claim, remaining_ms=READ_TIMEOUT)
    assert stored(scene).state is ClaimState.CLAIMED
    assert scene.provider.calls == 0


def test_a_mark_whose_answer_is_lost_is_recognised_by_its_token() -> None:
    # Given a mark that is written, and whose answer is lost or comes as a conflict
    for error in (UnavailableError("no answer"), ConflictError("repeated by the client")):
        scene = Scene()
        claim = claimed(scene)
        scene.store.after_write.append(failing(error))
        # When it is delivered, then it is sent, once
        assert scene.deliver(claim) is ClaimState.SENT
        assert scene.provider.calls == 1


def test_an_outcome_whose_answer_is_lost_is_not_written_twice_nor_sent_twice() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.store.after_write.extend([lambda: None, failing(UnavailableError("no answer"))])
    assert scene.deliver(claim) is ClaimState.SENT
    assert ends(scene) == [("sent", "accepted", None)]
    assert scene.provider.calls == 1


def test_an_outcome_that_cannot_be_written_at_once_is_tried_again_without_calling() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.store.before_write.extend([lambda: None, failing(ThrottledError("slow"))])
    assert scene.deliver(claim) is ClaimState.SENT
    assert scene.provider.calls == 1


def test_a_claim_of_a_channel_without_a_sender_is_terminal_and_not_marked_as_sending() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.put(claim.but(channel="pigeon"))
    with pytest.raises(TerminalError, match="unknown_channel"):
        scene.deliver(claim)
    assert stored(scene).state is ClaimState.CLAIMED


def test_a_message_without_a_claim_or_a_claim_without_an_enrolment_is_terminal() -> None:
    scene = Scene()
    claim = claimed(scene)
    with pytest.raises(TerminalError, match="unknown_claim"):
        scene.deliver(claim.but(action="other"))
    scene.put(stored(scene).but(enrolment="nobody"))
    with pytest.raises(TerminalError, match="unknown_enrolment"):
        scene.deliver(claim)


def test_an_unknown_outcome_is_counted_for_the_alarm_even_if_writing_it_gets_no_answer() -> None:
    scene = Scene()
    claim = claimed(scene)
    scene.provider.answers = [(True, UnavailableError("read timeout"))]
    scene.store.after_write.extend([lambda: None, failing(UnavailableError("no answer"))])
    assert scene.deliver(claim) is ClaimState.UNKNOWN
    assert scene.metrics.counts["sends_unknown"] == 1
    assert ends(scene) == [("unknown", "no_answer", None)]
