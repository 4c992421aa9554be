"""The environment variables of receive_webhook."""

from __future__ import annotations

from desireline.adapters.settings import ClockSettings, KafkaSettings, TableSettings
from desireline.throttle import Limit


class Settings(TableSettings, KafkaSettings, ClockSettings):
    """deployment: the prefix of secret names, `<deployment>/<sender>`. senders: those to accept.

    limits: of events, by sender, '<sender>/<key name>' or '*'.
    """

    deployment: str
    senders: frozenset[str]
    limits: dict[str, Limit]
