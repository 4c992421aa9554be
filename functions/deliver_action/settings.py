"""What deliver_action reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table

LONGEST_INVOCATION_MS = 60_000
"""At least the function's time-out: after this long nobody who marked a claim is at work."""

CONNECT_TIMEOUT = 2.0
"""Seconds that the clients of `desireline.adapters.aws` wait for a connection."""


class Settings(BaseSettings):
    """tables: the deployed names. alert_topics: ARN of the SNS topic, by channel.
    switches_parameter: the SSM parameter of send mode and kill switches. clock_url: of the local
    cloud's clock, if any."""

    tables: dict[Table, str]
    alert_topics: dict[str, str]
    switches_parameter: str
    clock_url: str | None = None
