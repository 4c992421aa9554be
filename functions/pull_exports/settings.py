"""What pull_exports reads from its environment."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings

from desireline.contracts import Table


class MixpanelExport(BaseModel):
    """A Mixpanel project: url of the server in its region; time_zone: what its settings say, for
    projects since 2023 UTC; account_property: the property with the key of a company."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    project: str
    time_zone: str
    first_day: date
    window_days: int
    requests: int
    account_property: str = ""


class Settings(BaseSettings):
    """What to pull, where to post it, and where the cursor is."""

    deployment: str
    tables: dict[Table, str]
    webhooks_url: str
    mixpanel_export: MixpanelExport
