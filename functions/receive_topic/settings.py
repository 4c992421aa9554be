"""What receive_topic reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """Where our brokers are, who is suppressed, and the sources: by topic, the source's name."""

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    tables: dict[Table, str]
    topics: dict[str, str]
    clock_url: str | None = None
