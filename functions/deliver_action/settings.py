"""What deliver_action reads from its environment."""

from __future__ import annotations

from desireline.adapters.settings import ClockSettings, TableSettings

LONGEST_INVOCATION_MS = 60_000
"""At least the function's time-out: after this long nobody who marked a claim is at work."""

CONNECT_TIMEOUT = 2.0
"""Seconds that the clients of `desireline.adapters.aws` wait for a connection."""


class Settings(TableSettings, ClockSettings):
    """alert_topics: ARN of the SNS topic, by channel. switches_parameter: the SSM parameter of send
    mode and kill switches."""

    alert_topics: dict[str, str]
    switches_parameter: str
