"""What score_journey reads from its environment."""

from __future__ import annotations

from desireline.adapters.settings import TableSettings


class Settings(TableSettings):
    """deployment: its name."""

    deployment: str
