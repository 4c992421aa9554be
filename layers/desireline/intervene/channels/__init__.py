"""The registry of channels: one module and one entry each.

Queues, permissions, alarms, handlers, the gate and the rendered pages loop over it. To add a
channel, write a module that defines CHANNEL and add it to CHANNELS.
"""

from __future__ import annotations

from collections.abc import Mapping

from desireline.intervene.channels import csm_alert
from desireline.intervene.channels.channel import ActionKind, ChannelSpec, Reach
from desireline.intervene.channels.planned import PLANNED

CHANNELS: Mapping[str, ChannelSpec] = {spec.name: spec for spec in (csm_alert.CHANNEL,)}
"""The live channels by name: those with a queue and a sender."""

PLAYBOOK_CHANNELS: Mapping[str, ChannelSpec] = {
    spec.name: spec for spec in (*PLANNED, *CHANNELS.values())
}
"""The channels that a playbook may name: the live and the planned ones."""

__all__ = ["CHANNELS", "PLAYBOOK_CHANNELS", "ActionKind", "ChannelSpec", "Reach"]
