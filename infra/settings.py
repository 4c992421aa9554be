"""The settings of a deployment: its part of cdk.json's context (dev or prod), validated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from desireline.contracts import Function
from desireline.receive.senders import NAMES, load_senders
from desireline.throttle import ANY, Limit
from infra.source_settings import EXAMPLE, Sources

CDK_JSON = Path(__file__).parents[1] / "cdk.json"

PRODUCERS = frozenset(
    {
        Function.RECEIVE_WEBHOOK,
        Function.RECEIVE_TOPIC,
        Function.RESOLVE_IDENTITY,
        Function.PUBLISH_CHANGES,
        Function.SERVE_QUARANTINE,
    }
)
"""Functions that connect to every broker. Only these are in the VPC."""

PRODUCER_CONCURRENCY_LIMIT = 1000
"""MSK allows 3,000 IAM connections per broker and 100 new ones per second."""

LOCAL_ARCHIVE_WINDOW = 5
LOCAL_RETRIES = 8
"""About 10 s of the local poller's back-off, so that a user soon sees dead letters."""

ACCOUNT_CONCURRENCY = 1000
UNRESERVED_CONCURRENCY = 100
"""Lambda's default for an account, and the part that always stays unreserved."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FunctionSettings(_Part):
    """The size of a function. reserved_concurrency: null to use the account's unreserved pool."""

    memory_mb: Annotated[int, Field(ge=128, le=10240)]
    timeout_seconds: Annotated[int, Field(ge=1, le=900)]
    reserved_concurrency: Annotated[int, Field(ge=1)] | None = None


class KafkaSettings(_Part):
    """The cluster. storage_gb: null for express brokers, which manage their storage."""

    version: str
    broker_type: str
    storage_gb: int | None = None
    partitions: Literal["dev", "prod"]

    @property
    def is_express(self) -> bool:
        return self.broker_type.startswith("express.")

    @model_validator(mode="after")
    def _storage_fits(self) -> Self:
        if self.is_express != (self.storage_gb is None):
            raise ValueError("standard brokers need storage_gb, express brokers have none")
        return self


class EventSourceSettings(_Part):
    """Event source mappings: batches, windows, pollers, and retries.

    Windows are in seconds. A stream's retries must end before its records expire (24 hours).
    queue_visibility_timeouts: the visibility time-out of a queue, in time-outs of its function.
    Lambda recommends six, so that a throttled batch is not delivered twice.
    """

    poller_group: str
    minimum_pollers: Annotated[int, Field(ge=1)]
    maximum_pollers: Annotated[int, Field(ge=1, le=2000)]
    batch_size: Annotated[int, Field(ge=1, le=10000)] = 500
    window_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    archive_batch_size: Annotated[int, Field(ge=1, le=10000)] = 10000
    archive_window_seconds: Annotated[int, Field(ge=0, le=300)] = 60
    retries: Annotated[int, Field(ge=1, le=10000)] = 50
    record_age_seconds: Annotated[int, Field(ge=60, le=604800)] = 3 * 86400
    stream_batch_size: Annotated[int, Field(ge=1, le=10000)] = 100
    stream_window_seconds: Annotated[int, Field(ge=0, le=300)] = 0
    stream_parallelization: Annotated[int, Field(ge=1, le=10)] = 4
    stream_retries: Annotated[int, Field(ge=1, le=10000)] = 1000
    stream_record_age_seconds: Annotated[int, Field(ge=60, lt=86400)] = 20 * 3600
    queue_batch_size: Annotated[int, Field(ge=1, le=10)] = 10
    queue_receives: Annotated[int, Field(ge=1)] = 10
    queue_visibility_timeouts: Annotated[int, Field(ge=1)] = 6


class WebhookSettings(_Part):
    """The throttle of a route: requests per second, and the burst."""

    rate: Annotated[int, Field(ge=1)]
    burst: Annotated[int, Field(ge=1)]


class DirectSettings(WebhookSettings):
    """The throttle of the API for sites and servers. origins: the sites whose browsers may read its
    answers; "*" for all."""

    origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/*\s]+)$")], ...] = ()


class DeploymentSettings(_Part):
    """All settings of one deployment. deployment: the prefix of every name in the account. limits:
    events per second by sender, 'sender/name of its key', or '*' for senders without a limit."""

    deployment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,24}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    zones: tuple[str, str, str] = ("a", "b", "c")
    retain_data: bool
    log_retention_days: int
    holdout_percent: Annotated[int, Field(ge=0, le=100)]
    senders: frozenset[str] = NAMES
    sources: Sources = Sources()
    webhooks: WebhookSettings
    direct: DirectSettings
    limits: dict[str, Limit] = {}
    quarantine: WebhookSettings
    kafka: KafkaSettings
    event_sources: EventSourceSettings
    functions: dict[Function, FunctionSettings]
    snowflake_user_arn: str | None = None
    snowflake_external_id: str = "desireline"

    @field_validator("limits")
    @classmethod
    def _of_known_senders(cls, limits: dict[str, Limit]) -> dict[str, Limit]:
        load_senders(name.partition("/")[0] for name in limits if name != ANY)
        return limits

    @field_validator("senders")
    @classmethod
    def _has_known_senders(cls, senders: frozenset[str]) -> frozenset[str]:
        load_senders(senders)
        return senders

    @model_validator(mode="after")
    def _complete_and_within_limits(self) -> Self:
        missing = set(Function) - set(self.functions)
        if missing:
            raise ValueError(f"no settings for {', '.join(sorted(missing))}")
        reserved = {f: s.reserved_concurrency for f, s in self.functions.items()}
        unlimited = sorted(f for f in PRODUCERS if reserved[f] is None)
        if unlimited:
            raise ValueError(f"producers need a reserved concurrency: {', '.join(unlimited)}")
        if sum(reserved[f] or 0 for f in PRODUCERS) >= PRODUCER_CONCURRENCY_LIMIT:
            raise ValueError("the producers' reserved concurrency exceeds the brokers' limit")
        if self.sources.mixpanel_export and "mixpanel_export" not in self.senders:
            raise ValueError("sources.mixpanel_export needs the sender mixpanel_export in senders")
        if sum(r or 0 for r in reserved.values()) > ACCOUNT_CONCURRENCY - UNRESERVED_CONCURRENCY:
            raise ValueError("the reserved concurrency exceeds an account's default")
        return self

    def with_example_sources(self) -> Self:
        """Return the settings with a topic and an export as sources, unless they have sources."""
        if self.sources.functions:
            return self
        return self.model_copy(update={"sources": EXAMPLE})

    def without_windows(self) -> Self:
        """Return the settings for the local cloud: no batching windows, and soon retries.

        Only the archive has a window, because else it would write a file for every event."""
        none = {
            name: 0 for name in EventSourceSettings.model_fields if name.endswith("window_seconds")
        }
        none["archive_window_seconds"] = LOCAL_ARCHIVE_WINDOW
        none["retries"] = LOCAL_RETRIES
        none["queue_visibility_timeouts"] = 1
        return self.model_copy(update={"event_sources": self.event_sources.model_copy(update=none)})


class Synthesis(BaseSettings):
    """The folder of the cloud assembly. The CDK command sets it."""

    cdk_outdir: str = "cdk.out"


def context() -> dict[str, Any]:
    """Read the context of cdk.json, which otherwise only the CDK command passes on."""
    loaded: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    return loaded


def deployment_settings(stages: Mapping[str, Any], stage: str) -> DeploymentSettings:
    """Return the settings of dev or prod. Raises ValueError if they are missing or invalid."""
    if stage not in stages:
        raise ValueError(
            f"cdk.json has no stage '{stage}': choose one of {', '.join(sorted(stages))}"
        )
    return DeploymentSettings.model_validate(stages[stage])
