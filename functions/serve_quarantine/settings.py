"""The environment variables of serve_quarantine."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """deployment: the prefix of secret names. table_quarantine: holds the cases. archive_bucket:
    holds raw bodies. table_interventions: holds the suppressions. senders: the accepted senders."""

    deployment: str
    aws_region: str
    tables: dict[Table, str]
    archive_bucket: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    senders: frozenset[str]
