"""What receive_webhook reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Where the brokers are, who may send, and the journey clock's address if it is virtual.

    Secrets go by the names that the deployment gave them: `deployment`/`sender`.
    """

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    senders: frozenset[str]
    clock_url: str | None = None
