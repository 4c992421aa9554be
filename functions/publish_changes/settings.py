"""What publish_changes reads from its environment."""

from __future__ import annotations

from desireline.adapters.settings import KafkaSettings


class Settings(KafkaSettings):
    """queues: URL of the queue, by channel."""

    queues: dict[str, str]
