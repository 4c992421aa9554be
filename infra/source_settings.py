"""What a deployment takes besides webhooks: topics of the company's own, and exports it pulls.

Both are data in cdk.json, and none of either is the default: then there is no function for it.
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
"""Mixpanel's limit for a project."""

Arn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:[a-z]+:[a-z0-9-]*:[0-9]*:.+$")]
Broker = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OtherMsk(_Part):
    """Another MSK cluster of this account, by IAM."""

    arn: Annotated[str, Field(pattern=r"^arn:[a-z-]+:kafka:[a-z0-9-]+:\d{12}:cluster/[^/]+/[^/]+$")]


class SelfManaged(_Part):
    """Any other cluster, by TLS and SASL. secret: its ARN, with `username` and `password`.
    authority: the ARN of a secret with the certificate of a private authority. subnets and
    security_groups: from where the brokers can be reached; none for brokers in the open."""

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
    """A topic as a source. source: its name, and that of its file in the tracking plan.
    starting_position: for a group that has read nothing yet; a time begins there."""

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
            # Elsewhere too: dead letters are known by their topic's name.
            raise ValueError(f"{self.topic} is the name of a topic of ours, not a source")
        if self.source in NAMES:
            raise ValueError(f"{self.source} is a sender of webhooks: take another name")
        known = topic_senders(load_plan())
        if self.source not in known:
            raise ValueError(
                f"tracking_plan/senders/{self.source}.yaml with `message` is missing: "
                f"there are {', '.join(sorted(known)) or 'none'}"
            )
        return self


class MixpanelExport(_Part):
    """A Mixpanel project whose raw events are pulled. time_zone: UTC for projects since 2023, the
    project's for older ones. first_day: where history begins; it is not pulled twice. window_days:
    for how many days events may be late; Mixpanel's mobile libraries queue for up to five."""

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
            raise ValueError(f"no time zone {name!r}")
        return name

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.requests < self.window_days + 2:
            raise ValueError("a run could never pull its window: requests >= window_days + 2")
        if self.requests * 60 / self.interval_minutes > REQUESTS_AN_HOUR:
            raise ValueError(f"Mixpanel takes {REQUESTS_AN_HOUR} requests an hour for a project")
        return self


class Sources(_Part):
    """All sources of a deployment."""

    topics: tuple[TopicSource, ...] = ()
    mixpanel_export: MixpanelExport | None = None

    @property
    def functions(self) -> frozenset[Function]:
        """The functions that they need."""
        needed = {
            Function.RECEIVE_TOPIC: bool(self.topics),
            Function.PULL_EXPORTS: self.mixpanel_export is not None,
        }
        return frozenset(function for function, wanted in needed.items() if wanted)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what in ("source", "topic"):
            values = [getattr(one, what) for one in self.topics]
            if len(set(values)) < len(values):
                raise ValueError(f"two sources have one {what}")
        return self


EXAMPLE = Sources(
    topics=(TopicSource(source="company_events", topic="company.events"),),
    mixpanel_export=MixpanelExport(
        project="1", first_day=date(2026, 1, 1), account_property="company_id"
    ),
)
"""For the local cloud, and to see the templates: `--context example_sources=true`."""
