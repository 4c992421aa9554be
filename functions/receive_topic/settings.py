"""The environment variables of receive_topic."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """kafka_bootstrap: our own brokers. table_interventions: holds the suppressions. topics: the
    source of each topic. clock_url: the journey clock's address, if the clock is virtual."""

    deployment: str
    aws_region: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    tables: dict[Table, str]
    topics: dict[str, str]
    clock_url: str | None = None
