"""What start_interventions reads from its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desireline.adapters.settings import ClockSettings, TableSettings


class Settings(TableSettings, ClockSettings):
    """holdout_percent: of subjects, 0 to 100."""

    state_machine_arn: str
    holdout_percent: Annotated[int, Field(ge=0, le=100)]
