"""Rules broken once more: those of arrival, of failed records, of switches, and of time."""

from __future__ import annotations

from typing import Any

from desireline.intervene import check_playbook, deliver_action, start_interventions
from desireline.journey import state as journey
from desireline.records import Tally
from desireline.rows import ClaimState
from tests.simulation.mutations import MUTATIONS, Mutation, Patch
from tests.simulation.mutations_of_gates import GATES_BROKEN
from tests.simulation.switches import SimSwitches

HOUR = 3_600_000


class _Clock:
    def __init__(self, now: Any) -> None:
        self.now = now


def _first_mention_stays(patch: Patch) -> None:
    patch.setattr(journey.Fact, "order", property(lambda self: (0,)))


def _kill_switches_not_asked(patch: Patch) -> None:
    patch.setattr(SimSwitches, "killed", lambda self, playbook, channel: False)


def _send_mode_not_asked(patch: Patch) -> None:
    patch.setattr(SimSwitches, "send_mode", lambda self: "live")


def _recorded_is_sent_later(patch: Patch) -> None:
    once = deliver_action.DeliverAction._try

    def again(self: Any, reference: Any, remaining_ms: Any) -> Any:
        claim = self._store.get(deliver_action.ClaimRow.ref_to(**reference.model_dump()))
        if claim is not None and claim.state is ClaimState.RECORDED:
            return self._call(claim)
        return once(self, reference, remaining_ms)

    patch.setattr(deliver_action.DeliverAction, "_try", again)


def _decided_early(patch: Patch) -> None:
    made = check_playbook.CheckPlaybook.__init__

    def hurried(self: Any, **given: Any) -> None:
        made(self, **given)
        clock = self._clock
        self._clock = _Clock(lambda: clock.now() + HOUR)

    patch.setattr(check_playbook.CheckPlaybook, "__init__", hurried)


def _age_not_asked(patch: Patch) -> None:
    enrol = start_interventions.StartInterventions._try_to_enrol

    def ageless(self: Any, entry: Any) -> bool:
        old = start_interventions.StartInterventions.__new__(type(self))
        old.__dict__ = {**self.__dict__, "_clock": _Clock(lambda: entry.at)}
        return enrol(old, entry)

    patch.setattr(start_interventions.StartInterventions, "_try_to_enrol", ageless)


def _failed_means_done(patch: Patch) -> None:
    patch.setattr(Tally, "fail", lambda self, records, reason: self.done.extend(records))


def _retryable_is_set_aside(patch: Patch) -> None:
    def aside(self: Any, records: Any, reason: str) -> None:
        self.quarantined.extend((record, reason) for record in records)

    patch.setattr(Tally, "fail", aside)


MORE = (
    Mutation("the first mention of a trait stays", "4", _first_mention_stays),
    Mutation("a record that failed counts as done", "17", _failed_means_done),
    Mutation("a record that may succeed later is set aside", "17", _retryable_is_set_aside),
    Mutation("kill switches are not looked at", "10", _kill_switches_not_asked),
    Mutation("the send mode is not looked at", "10", _send_mode_not_asked),
    Mutation("what was recorded is sent later", "10", _recorded_is_sent_later),
    Mutation("a step is decided before it is due", "11", _decided_early),
    Mutation("the age of a trigger is not looked at", "8", _age_not_asked),
)

ALL = (*MUTATIONS, *MORE, *GATES_BROKEN)
