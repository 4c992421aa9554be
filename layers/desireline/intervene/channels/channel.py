"""The description of a channel: its receivers, its actions in playbooks, and its transport."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desireline.plan.event_names import EventName


class Reach(StrEnum):
    """The receiver of a channel's messages. RECORD is a person's record in another tool."""

    TEAM = "team"
    PERSON = "person"
    RECORD = "record"


class ActionKind(StrEnum):
    """The kinds of actions. `playbook/playbooks.py` has a model of each kind's fields."""

    ALERT = "alert"
    MESSAGE = "message"
    RECORD_CHANGE = "record_change"


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """A channel. name: in playbooks, rows, metrics and kill switches; its module has the same name.
    opt_outs: events after which a person gets no message from this channel; the first one that
    happened is the reason. topic: its SNS topic, without the deployment's name.
    """

    name: str
    reach: Reach
    action: ActionKind
    opt_outs: tuple[EventName, ...] = ()
    topic: str | None = None

    @property
    def needs_identity(self) -> bool:
        """Whether messages need a person whose identity is not ambiguous."""
        return self.reach is not Reach.TEAM
