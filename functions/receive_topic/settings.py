"""The environment variables of receive_topic."""

from __future__ import annotations

from desireline.adapters.settings import ReceiverSettings


class Settings(ReceiverSettings):
    """topics: the source of each topic."""

    topics: dict[str, str]
