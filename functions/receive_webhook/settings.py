"""What receive_webhook reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table
from desireline.throttle import Limit


class Settings(BaseSettings):
    """Where the brokers are, who may send, and the journey clock's address if it is virtual.

    Secrets go by the names that the deployment gave them: `deployment`/`sender`. limits: of events,
    by sender, 'sender/name of its key' or '*'.
    """

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    senders: frozenset[str]
    tables: dict[Table, str]
    limits: dict[str, Limit]
    clock_url: str | None = None
