"""Which playbooks a record starts: pure functions of the message and the playbooks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from desireline.contracts import EXECUTION_NAME_LIMIT, PLAYBOOK_NAME_LIMIT
from desireline.events import JourneyScored, ResolvedEvent, Stamps
from desireline.intervene.playbook.playbooks import Playbook, Trigger
from desireline.journey.crossings import reaches

ENROLMENTS = UUID("6f1c2f0a-7d5e-5a34-9c1b-2a3f0f6d9e41")
"""Namespace of enrolment ids; fixed for ever, since the ids are what makes starts single."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason to start one playbook: `id` is the event's or the crossing's, `at` its journey
    time, `subject` as the record names it."""

    playbook: Playbook
    id: str
    subject: str
    at: int
    stamps: Stamps

    @property
    def enrolment(self) -> str:
        """The enrolment's id: the same trigger can only ever mean the same enrolment."""
        return str(uuid5(ENROLMENTS, f"{self.playbook.name}|{self.id}"))

    @property
    def slot(self) -> str:
        return self.playbook.slot(self.at)


def entries_of_event(message: ResolvedEvent, playbooks: Iterable[Playbook]) -> list[Entry]:
    """Entries of the playbooks that this event triggers."""
    event = message.event
    return [
        Entry(playbook, event.event_id, message.subject, event.occurred_at, event.stamps)
        for playbook in playbooks
        if playbook.trigger.event == event.name
    ]


def entries_of_score(message: JourneyScored, playbooks: Iterable[Playbook]) -> list[Entry]:
    """Entries of the playbooks that one of these crossings triggers."""
    return [
        Entry(playbook, message.id, message.subject, message.current.as_of, message.stamps)
        for playbook in playbooks
        if _crossed(playbook.trigger, message)
    ]


def execution_name(playbook: str, enrolment: str) -> str:
    """The execution's name. Names are free again after 90 days: the enrolment row is the truth."""
    return f"{playbook[:PLAYBOOK_NAME_LIMIT]}-{UUID(enrolment).hex}"[:EXECUTION_NAME_LIMIT]


def _crossed(trigger: Trigger, message: JourneyScored) -> bool:
    for crossing in message.crossings:
        if trigger.tier is not None and reaches(crossing, trigger.tier):
            return True
        if crossing.kind == "stage" and crossing.after == trigger.stage:
            return True
    return False
