"""What resolve_identity reads from its environment."""

from __future__ import annotations

from desireline.adapters.settings import ClockSettings, KafkaSettings, TableSettings


class Settings(TableSettings, KafkaSettings, ClockSettings):
    """deployment: its name."""

    deployment: str
