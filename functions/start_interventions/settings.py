"""What start_interventions reads from its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from desireline.contracts import Table


class Settings(BaseSettings):
    """tables: the deployed names. holdout_percent: of subjects, 0 to 100. clock_url: of the local
    cloud's clock, if any."""

    tables: dict[Table, str]
    state_machine_arn: str
    holdout_percent: Annotated[int, Field(ge=0, le=100)]
    clock_url: str | None = None
