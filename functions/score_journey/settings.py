"""What score_journey reads from its environment."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """Names of the deployed tables; the quarantine lies in that of the interventions."""

    deployment: str
    table_identity: str
    table_states: str
    table_journeys: str
    table_interventions: str

    @property
    def tables(self) -> dict[Table, str]:
        """The deployed name of each table that this function touches."""
        return {
            Table.IDENTITY: self.table_identity,
            Table.STATES: self.table_states,
            Table.JOURNEYS: self.table_journeys,
            Table.INTERVENTIONS: self.table_interventions,
        }
