"""The environment variables of receive_topic."""

from __future__ import annotations

from desireline.adapters.settings import ClockSettings, KafkaSettings, TableSettings


class Settings(TableSettings, KafkaSettings, ClockSettings):
    """deployment: the prefix of secret names. topics: the source of each topic."""

    deployment: str
    topics: dict[str, str]
