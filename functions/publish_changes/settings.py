"""What publish_changes reads from its environment."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """kafka_auth: 'iam' on MSK, 'plaintext' locally. queues: URL of the queue, by channel.
    aws_region: set by Lambda itself."""

    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    queues: dict[str, str]
    aws_region: str = ""
