"""The gate that every action passes: an ordered list of small pure functions over facts.

Each says why the action is not sent, or nothing. The first to object decides. Whether a channel
exists comes last, so that the ledger shows what would have been sent had there been one. Send mode
is not judged here but at delivery (delivery rule 10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from desireline.intervene.channels import CHANNELS, PLAYBOOK_CHANNELS
from desireline.intervene.playbook.playbooks import Audience
from desireline.journey.state import JourneyState
from desireline.rows import ClaimRow, ClaimState

NEVER_SENT = frozenset({ClaimState.CANCELLED, ClaimState.EXPIRED})
"""Ends of a claim in which nobody can have received anything."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which gate objected, and why."""

    gate: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """What the gates look at, for one action.

    killed: an operator has turned off all, the playbook or the channel. converted: they pay.
    earlier: claims for the same playbook, slot, step and action, of the subject and of all whom it
    absorbed. suppressions: reasons, of all persons and accounts, for this channel or for all.
    opted_out: the first event, if any, by which they refused this channel. now, not_after: journey
    time. ambiguous: an alias of theirs belongs to several persons. behind: the action rests on
    something not having happened, and the pipeline is not up to date.
    """

    subject: str
    channel: str
    audience: Audience
    killed: bool = False
    converted: bool = False
    earlier: tuple[ClaimRow, ...] = ()
    holdout: bool = False
    suppressions: tuple[str, ...] = ()
    opted_out: str | None = None
    now: int
    not_after: int
    ambiguous: bool = False
    behind: bool = False
    live: Collection[str] = frozenset(CHANNELS)


Gate = Callable[[GateFacts], Refusal | None]


def kill_switch(facts: GateFacts) -> Refusal | None:
    """Operators have turned it off."""
    return Refusal("kill_switch", "killed") if facts.killed else None


def converted(facts: GateFacts) -> Refusal | None:
    """They have paid, and the playbook is for those who have not."""
    if facts.converted and facts.audience is Audience.PROSPECTS:
        return Refusal("converted", "already_converted")
    return None


def already_sent(facts: GateFacts) -> Refusal | None:
    """The same message was claimed before, for this subject or for one that it absorbed.

    A claim of the subject's own stands whatever became of it: its key can be claimed only once."""
    for claim in facts.earlier:
        if claim.subject == facts.subject or claim.state not in NEVER_SENT:
            return Refusal("already_sent", f"claimed_by:{claim.enrolment}")
    return None


def holdout(facts: GateFacts) -> Refusal | None:
    """They are in the group that shows what happens without intervening."""
    return Refusal("holdout", "held_out") if facts.holdout else None


def consent(facts: GateFacts) -> Refusal | None:
    """They are suppressed or have refused: the strictest of all persons and accounts counts."""
    if facts.suppressions:
        return Refusal("consent", f"suppressed:{facts.suppressions[0]}")
    if facts.opted_out is not None:
        return Refusal("consent", f"opted_out:{facts.opted_out}")
    return None


def stale(facts: GateFacts) -> Refusal | None:
    """It is later than the action is good for."""
    return Refusal("stale", "too_late") if facts.now > facts.not_after else None


def pipeline(facts: GateFacts) -> Refusal | None:
    """Absence is not claimed while the pipeline is behind (delivery rule 12)."""
    return Refusal("pipeline", "pipeline_behind") if facts.behind else None


def identity(facts: GateFacts) -> Refusal | None:
    """What reaches the person needs proof of who it is; deterministic links are proof."""
    if facts.ambiguous and PLAYBOOK_CHANNELS[facts.channel].needs_identity:
        return Refusal("identity", "ambiguous_person")
    return None


def channel(facts: GateFacts) -> Refusal | None:
    """The channel has no sender yet."""
    if facts.channel not in facts.live:
        return Refusal("channel", "channel_not_available")
    return None


GATES: tuple[Gate, ...] = (
    kill_switch,
    converted,
    already_sent,
    holdout,
    consent,
    stale,
    pipeline,
    identity,
    channel,
)
"""In this order."""


def pass_gates(facts: GateFacts) -> Refusal | None:
    """The first objection, or None: then it may be claimed."""
    return next((refusal for gate in GATES if (refusal := gate(facts)) is not None), None)


def opt_out(known: JourneyState, channel: str) -> str | None:
    """The event by which they refused the channel, if any."""
    opt_outs = PLAYBOOK_CHANNELS[channel].opt_outs
    return next((name for name in opt_outs if known.happened(name)), None)
