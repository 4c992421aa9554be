"""The environment variables of index_quarantine."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """tables: the deployed name of the table of cases."""

    tables: dict[Table, str]
