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
    """The fields of a channel's actions; `playbook/playbooks.py` has one model a kind."""

    ALERT = "alert"
    MESSAGE = "message"
    RECORD_CHANGE = "record_change"


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """name: as playbooks, rows, metrics and kill switches write it; the module has the same name.
    opt_outs: events after which a person gets nothing from this channel; the first one that
    happened is the reason.
    topic: the SNS topic of the channel, without the deployment's name.
    """

    name: str
    reach: Reach
    action: ActionKind
    opt_outs: tuple[EventName, ...] = ()
    topic: str | None = None

    @property
    def needs_identity(self) -> bool:
        """Tell whether the receiver must be proven to be one person."""
        return self.reach is not Reach.TEAM
