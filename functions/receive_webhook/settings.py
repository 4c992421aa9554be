"""The environment variables of receive_webhook."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table
from desireline.throttle import Limit


class Settings(BaseSettings):
    """deployment: the prefix of secret names, `<deployment>/<sender>`. senders: those to accept.

    limits: of events, by sender, '<sender>/<key name>' or '*'. clock_url: the journey clock's
    address, if the clock is virtual.
    """

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    senders: frozenset[str]
    tables: dict[Table, str]
    limits: dict[str, Limit]
    clock_url: str | None = None
