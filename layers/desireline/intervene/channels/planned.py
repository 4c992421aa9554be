"""Channels that playbooks may name before they exist.

Their actions are decided, and the gate refuses them as `channel_not_available`. So the ledger shows
how many messages each channel would have had.
"""

from __future__ import annotations

from desireline.intervene.channels.channel import ActionKind, ChannelSpec, Reach
from desireline.plan.event_names import EventName

PLANNED = (
    ChannelSpec(
        name="email",
        reach=Reach.PERSON,
        action=ActionKind.MESSAGE,
        opt_outs=(
            EventName.EMAIL_UNSUBSCRIBED,
            EventName.EMAIL_MARKED_SPAM,
            EventName.EMAIL_BOUNCED,
        ),
    ),
    ChannelSpec(name="in_app", reach=Reach.PERSON, action=ActionKind.MESSAGE),
    ChannelSpec(name="crm", reach=Reach.RECORD, action=ActionKind.RECORD_CHANGE),
    ChannelSpec(name="slack", reach=Reach.TEAM, action=ActionKind.MESSAGE),
)
