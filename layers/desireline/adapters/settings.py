"""Settings that the environments of several functions share."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from desireline.contracts import Table


class TableSettings(BaseSettings):
    """tables: the deployed names of the tables that the function uses."""

    tables: dict[Table, str]


class KafkaSettings(BaseSettings):
    """kafka_bootstrap: addresses of the brokers. kafka_auth: 'iam' on MSK, 'plaintext' locally.
    aws_region: set by Lambda itself."""

    kafka_bootstrap: str
    kafka_auth: Literal["iam", "plaintext"]
    aws_region: str


class ClockSettings(BaseSettings):
    """clock_url: address of the journey clock of the local cloud; None on AWS."""

    clock_url: str | None = None


class ReceiverSettings(TableSettings, KafkaSettings, ClockSettings):
    """deployment: the prefix of secret names, `<deployment>/<sender>`."""

    deployment: str
