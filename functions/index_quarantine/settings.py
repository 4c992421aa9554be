"""The environment variables of index_quarantine."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """table_quarantine: the table's deployed name."""

    table_quarantine: str

    @property
    def tables(self) -> dict[Table, str]:
        """The deployed name of each table that this function uses."""
        return {Table.QUARANTINE: self.table_quarantine}
