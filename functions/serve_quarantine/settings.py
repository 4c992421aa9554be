"""What serve_quarantine reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """Where the cases, the raw bodies and the suppressed people are, and whose webhooks there may
    be. The identity secret goes by the name that the deployment gave it."""

    deployment: str
    aws_region: str
    tables: dict[Table, str]
    archive_bucket: str
    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    senders: frozenset[str]
