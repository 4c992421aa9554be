"""What archive_history reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Where the files go."""

    deployment: str
    archive_bucket: str
