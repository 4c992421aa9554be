"""The gates that every action passes, in order: pure functions of facts.

Each gate returns a refusal or None, and the first refusal decides. The gate `channel` is last, so
that the ledger shows the messages of channels that are not built yet. Delivery, not a gate, applies
the send mode (delivery rule 10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from desireline.intervene.channels import CHANNELS, PLAYBOOK_CHANNELS
from desireline.intervene.playbook.playbooks import Audience
from desireline.journey.state import JourneyState
from desireline.rows import ClaimRow, ClaimState

NEVER_SENT = frozenset({ClaimState.CANCELLED, ClaimState.EXPIRED})
"""The ends of a claim whose message was certainly not sent."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gate that refuses an action, and its reason."""

    gate: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """The facts that the gates need for one action.

    killed: an operator turned off all messages, the playbook or the channel. converted: the subject
    is a customer. earlier: claims for the same playbook, slot, step and action, of the subject and
    the subjects it absorbed. suppressions: the reasons of those for its persons and accounts, for
    this channel or all. opted_out: the first opt-out event of this channel, if any. now, not_after:
    journey time, epoch ms. ambiguous: several persons share an alias of the subject. behind: the
    action depends on an absence, and the pipeline is not up to date. live: channels with a sender.
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
    """Refuse if an operator has turned off all messages, the playbook or the channel."""
    return Refusal("kill_switch", "killed") if facts.killed else None


def converted(facts: GateFacts) -> Refusal | None:
    """Refuse if the subject is a customer and the playbook is for prospects."""
    if facts.converted and facts.audience is Audience.PROSPECTS:
        return Refusal("converted", "already_converted")
    return None


def already_sent(facts: GateFacts) -> Refusal | None:
    """Refuse a message that was claimed before, for the subject or for one that it absorbed.

    The subject's own claim counts even if it was not sent, because its key can be claimed once."""
    for claim in facts.earlier:
        if claim.subject == facts.subject or claim.state not in NEVER_SENT:
            return Refusal("already_sent", f"claimed_by:{claim.enrolment}")
    return None


def holdout(facts: GateFacts) -> Refusal | None:
    """Refuse if the subject is in the holdout, the control group without interventions."""
    return Refusal("holdout", "held_out") if facts.holdout else None


def consent(facts: GateFacts) -> Refusal | None:
    """Refuse if a person or account of the subject is suppressed or has opted out."""
    if facts.suppressions:
        return Refusal("consent", f"suppressed:{facts.suppressions[0]}")
    if facts.opted_out is not None:
        return Refusal("consent", f"opted_out:{facts.opted_out}")
    return None


def stale(facts: GateFacts) -> Refusal | None:
    """Refuse after the action's latest time."""
    return Refusal("stale", "too_late") if facts.now > facts.not_after else None


def pipeline(facts: GateFacts) -> Refusal | None:
    """Refuse an action that depends on an absence if the pipeline is behind (delivery rule 12)."""
    return Refusal("pipeline", "pipeline_behind") if facts.behind else None


def identity(facts: GateFacts) -> Refusal | None:
    """Refuse a message to a person whose identity is ambiguous."""
    if facts.ambiguous and PLAYBOOK_CHANNELS[facts.channel].needs_identity:
        return Refusal("identity", "ambiguous_person")
    return None


def channel(facts: GateFacts) -> Refusal | None:
    """Refuse if the channel has no sender yet."""
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
"""All gates, in their order."""


def pass_gates(facts: GateFacts) -> Refusal | None:
    """Return the first refusal, or None if the action may be claimed."""
    return next((refusal for gate in GATES if (refusal := gate(facts)) is not None), None)


def opt_out(state: JourneyState, channel: str) -> str | None:
    """Return the first opt-out event of a channel that is in the state, or None."""
    opt_outs = PLAYBOOK_CHANNELS[channel].opt_outs
    return next((name for name in opt_outs if state.happened(name)), None)
