"""What index_quarantine reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """The name of the deployed table."""

    table_quarantine: str

    @property
    def tables(self) -> dict[Table, str]:
        """The deployed name of the table that this function touches."""
        return {Table.QUARANTINE: self.table_quarantine}
