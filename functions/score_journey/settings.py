"""What score_journey reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """tables: the deployed names; the quarantine lies in that of the interventions."""

    deployment: str
    tables: dict[Table, str]
