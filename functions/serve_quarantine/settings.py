"""The environment variables of serve_quarantine."""

from __future__ import annotations

from desireline.adapters.settings import KafkaSettings, TableSettings


class Settings(TableSettings, KafkaSettings):
    """deployment: the prefix of secret names. archive_bucket: holds raw bodies. senders: those of
    the accepted webhooks."""

    deployment: str
    archive_bucket: str
    senders: frozenset[str]
