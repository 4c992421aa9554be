"""Find the playbooks that a message triggers, with pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from desireline.contracts import EXECUTION_NAME_LIMIT, PLAYBOOK_NAME_LIMIT
from desireline.events import JourneyScored, ResolvedEvent, Stamps
from desireline.intervene.playbook.playbooks import Playbook, Trigger
from desireline.journey.crossings import reaches

ENROLMENTS = UUID("6f1c2f0a-7d5e-5a34-9c1b-2a3f0f6d9e41")
"""The namespace of enrolment ids. It must never change: equal ids prevent a second start."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A trigger of a playbook. id: of the event or the crossing. at: its journey time, epoch ms.
    subject: as in the message; it may be a tombstone."""

    playbook: Playbook
    id: str
    subject: str
    at: int
    stamps: Stamps

    @property
    def enrolment(self) -> str:
        """The enrolment's id. The same trigger always gives the same id."""
        return str(uuid5(ENROLMENTS, f"{self.playbook.name}|{self.id}"))

    @property
    def slot(self) -> str:
        return self.playbook.slot(self.at)


def entries_of_event(message: ResolvedEvent, playbooks: Iterable[Playbook]) -> list[Entry]:
    """Return the entries of the playbooks that an event triggers."""
    event = message.event
    return [
        Entry(playbook, event.event_id, message.subject, event.occurred_at, event.stamps)
        for playbook in playbooks
        if playbook.trigger.event == event.name
    ]


def entries_of_score(message: JourneyScored, playbooks: Iterable[Playbook]) -> list[Entry]:
    """Return the entries of the playbooks that a crossing of this message triggers."""
    return [
        Entry(playbook, message.id, message.subject, message.current.as_of, message.stamps)
        for playbook in playbooks
        if _crossed(playbook.trigger, message)
    ]


def execution_name(playbook: str, enrolment: str) -> str:
    """Return the name of an enrolment's execution.

    Step Functions allows a name again after 90 days, so the enrolment's row prevents a restart."""
    return f"{playbook[:PLAYBOOK_NAME_LIMIT]}-{UUID(enrolment).hex}"[:EXECUTION_NAME_LIMIT]


def _crossed(trigger: Trigger, message: JourneyScored) -> bool:
    for crossing in message.crossings:
        if trigger.tier is not None and reaches(crossing, trigger.tier):
            return True
        if crossing.kind == "stage" and crossing.after == trigger.stage:
            return True
    return False
