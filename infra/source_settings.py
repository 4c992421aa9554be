"""The sources of a deployment besides webhooks: the company's own topics, and pulled exports.

Both are configured in cdk.json. By default there are none, and then no functions for them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from desireline.contracts import Function, Topic, consumer_group
from desireline.plan.tracking_plan import load_plan
from desireline.receive.senders import NAMES
from desireline.receive.senders._topic import topic_senders

SOURCE_FUNCTIONS = frozenset({Function.RECEIVE_TOPIC, Function.PULL_EXPORTS})

REQUESTS_AN_HOUR = 60
"""Mixpanel's limit of a project."""

Arn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:[a-z]+:[a-z0-9-]*:[0-9]*:.+$")]
Broker = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OtherMsk(_Part):
    """Another MSK cluster of this account, with IAM."""

    arn: Annotated[str, Field(pattern=r"^arn:[a-z-]+:kafka:[a-z0-9-]+:\d{12}:cluster/[^/]+/[^/]+$")]


class SelfManaged(_Part):
    """Any other cluster, with TLS and SASL. secret: its ARN; it has `username` and `password`.
    authority: the ARN of a secret with the certificate of a private authority. subnets and
    security_groups: of the pollers; empty for public brokers."""

    brokers: Annotated[tuple[Broker, ...], Field(min_length=1)]
    auth: Literal["SASL_SCRAM_512_AUTH", "SASL_SCRAM_256_AUTH", "BASIC_AUTH"]
    secret: Arn
    secret_key: Arn | None = None
    authority: Arn | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups go together")
        return self


class TopicSource(_Part):
    """A topic as a source. source: its name, and the name of its file in the tracking plan.
    starting_position: where a new group starts; a time starts there."""

    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    cluster: Literal["own"] | OtherMsk | SelfManaged = "own"
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")] | None = None
    starting_position: Literal["TRIM_HORIZON", "LATEST"] | datetime = "TRIM_HORIZON"
    batch_size: Annotated[int, Field(ge=1, le=10000)] = 500

    @property
    def consumer_group(self) -> str:
        return self.group or consumer_group(Function.RECEIVE_TOPIC, self.topic)

    @model_validator(mode="after")
    def _of_theirs(self) -> Self:
        if self.topic in set(Topic):
            # This also holds for other clusters, because dead letters are found by topic.
            raise ValueError(
                f"{self.topic} is a topic of Desireline: choose a topic of the company"
            )
        if self.source in NAMES:
            raise ValueError(f"{self.source} is a sender of webhooks: choose another name")
        known = topic_senders(load_plan())
        if self.source not in known:
            raise ValueError(
                f"tracking_plan/senders/{self.source}.yaml with `message` is missing: "
                f"the existing ones are {', '.join(sorted(known)) or 'none'}"
            )
        return self


class MixpanelExport(_Part):
    """A Mixpanel project whose raw events are pulled. time_zone: UTC for projects since 2023, the
    project's zone for older ones. first_day: the first day to pull. window_days: how many days late
    events may arrive; Mixpanel's mobile libraries queue events for up to five days."""

    project: Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
    residency: Literal["us", "eu", "in"] = "us"
    time_zone: str = "UTC"
    first_day: date
    interval_minutes: Annotated[int, Field(ge=15, le=1440)] = 60
    window_days: Annotated[int, Field(ge=1, le=30)] = 5
    requests: Annotated[int, Field(ge=1, le=60)] = 30
    account_property: Annotated[str, Field(pattern=r"^[ -~]{0,100}$")] = ""

    @property
    def url(self) -> str:
        server = {"us": "data", "eu": "data-eu", "in": "data-in"}[self.residency]
        return f"https://{server}.mixpanel.com"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"unknown time zone {name!r}")
        return name

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.requests < self.window_days + 2:
            raise ValueError(
                "requests must be at least window_days + 2, or no run could pull its window"
            )
        if self.requests * 60 / self.interval_minutes > REQUESTS_AN_HOUR:
            raise ValueError(f"Mixpanel allows {REQUESTS_AN_HOUR} requests an hour for a project")
        return self


class Sources(_Part):
    """All sources of a deployment."""

    topics: tuple[TopicSource, ...] = ()
    mixpanel_export: MixpanelExport | None = None

    @property
    def functions(self) -> frozenset[Function]:
        """The functions that the sources need."""
        needed = {
            Function.RECEIVE_TOPIC: bool(self.topics),
            Function.PULL_EXPORTS: self.mixpanel_export is not None,
        }
        return frozenset(function for function, is_needed in needed.items() if is_needed)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for field in ("source", "topic"):
            values = [getattr(topic, field) for topic in self.topics]
            if len(set(values)) < len(values):
                raise ValueError(f"two sources have the same {field}")
        return self


EXAMPLE = Sources(
    topics=(TopicSource(source="company_events", topic="company.events"),),
    mixpanel_export=MixpanelExport(
        project="1", first_day=date(2026, 1, 1), account_property="company_id"
    ),
)
"""The sources of the local cloud, and of templates with `--context example_sources=true`."""
