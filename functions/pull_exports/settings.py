"""The environment variables of pull_exports."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

from desireline.adapters.settings import TableSettings


class MixpanelExport(BaseModel):
    """A Mixpanel project. url: the server of its region. time_zone: from the project's settings;
    UTC for projects since 2023. account_property: the property with a company's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    project: str
    time_zone: str
    first_day: date
    window_days: int
    requests: int
    account_property: str = ""


class Settings(TableSettings):
    """mixpanel_export: the project to pull. webhooks_url: the address to post to."""

    deployment: str
    webhooks_url: str
    mixpanel_export: MixpanelExport
