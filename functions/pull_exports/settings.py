"""The environment variables of pull_exports."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

from desireline.adapters.settings import TableSettings
from desireline.receive.pull_exports import PullPlan
from desireline.receive.senders import mixpanel_export


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

    def plan(self) -> PullPlan:
        """Return the plan of this project's pull."""
        return PullPlan(
            source=mixpanel_export.SENDER.name,
            project=self.project,
            time_zone=self.time_zone,
            first_day=self.first_day,
            window_days=self.window_days,
            requests=self.requests,
        )

    def headers(self) -> dict[str, str]:
        """Return the headers from which the webhook reads how to map this project's events."""
        headers = {mixpanel_export.TIME_ZONE: self.time_zone}
        if self.account_property:
            headers[mixpanel_export.ACCOUNT_PROPERTY] = self.account_property
        return headers


class Settings(TableSettings):
    """mixpanel_export: the project to pull. webhooks_url: the address to post to."""

    deployment: str
    webhooks_url: str
    mixpanel_export: MixpanelExport
