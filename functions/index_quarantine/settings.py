"""The environment variables of index_quarantine."""

from __future__ import annotations

from desireline.adapters.settings import TableSettings


class Settings(TableSettings):
    """The table of cases."""
