"""The environment variables of receive_webhook."""

from __future__ import annotations

from desireline.adapters.settings import ReceiverSettings
from desireline.throttle import Limit


class Settings(ReceiverSettings):
    """senders: those to accept. limits: of events, by sender, '<sender>/<key name>' or '*'."""

    senders: frozenset[str]
    limits: dict[str, Limit]
