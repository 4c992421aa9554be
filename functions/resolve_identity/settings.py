"""What resolve_identity reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """Where the brokers and the tables are, and the journey clock's address if it is virtual."""

    deployment: str
    aws_region: str
    tables: dict[Table, str]
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    clock_url: str | None = None
