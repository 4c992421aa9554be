"""Alerts to the customer success managers: an SNS topic, whose subscribers filter by attributes."""

from __future__ import annotations

from desireline.intervene.channels.channel import ActionKind, ChannelSpec, Reach

CHANNEL = ChannelSpec(
    name="csm_alert", reach=Reach.TEAM, action=ActionKind.ALERT, topic="csm-alerts"
)
