"""The deployment that a command works on: the local cloud, or one on AWS.

On AWS everything is found by the deployment's name, in the SSM parameters by which its stacks tell
one another; credentials and region are those of the environment, and Kafka is reached only from
within the deployment's network.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desireline.adapters.aws import client as aws_client
from desireline.adapters.aws import translated
from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import Auth
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.contracts import Table, parameter
from desireline.ports import Clock
from desireline_local.backends import NoMetrics
from desireline_local.cloud import Addresses

Client = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """client: makes a boto3 client of a service. clock: journey time. auth: Kafka's."""

    deployment: str
    bootstrap: str
    auth: Auth
    region: str
    client: Client
    clock: Clock

    def parameter(self, *path: str) -> str:
        """What a stack published. Raises TerminalError where it is not there."""
        return _parameter(self.client, self.deployment, *path)

    def store(self) -> DynamoStore:
        """The tables."""
        tables = {table: f"{self.deployment}-{table}" for table in Table}
        return DynamoStore(self.client("dynamodb"), tables)

    def suppressed(self) -> frozenset[str]:
        """Fragments of whom nothing may be taken. Raises UnavailableError."""
        table = f"{self.deployment}-{Table.INTERVENTIONS}"
        client = self.client("dynamodb")
        return DynamoSuppressions(client, table, WallClock(), NoMetrics()).current()

    def secret(self, name: str) -> bytes:
        """The current value of a secret."""
        with translated():
            answer = self.client("secretsmanager").get_secret_value(
                SecretId=f"{self.deployment}/{name}"
            )
        return str(answer["SecretString"]).strip().encode()

    def who(self) -> str:
        """Who works on it: on AWS as the account knows them."""
        if self.auth == "iam":
            with translated():
                return str(self.client("sts").get_caller_identity()["Arn"])
        return f"{getpass.getuser()}@{socket.gethostname()}"


def local(addresses: Addresses) -> Target:
    """The local cloud."""
    return Target(
        deployment=addresses.deployment,
        bootstrap=addresses.kafka,
        auth="plaintext",
        region="",
        client=lambda service, **_: addresses.client(service),
        clock=addresses.clock(),
    )


def on_aws(deployment: str, client: Client = aws_client) -> Target:
    """A deployment on AWS. Raises TerminalError, UnavailableError."""
    return Target(
        deployment=deployment,
        bootstrap=_parameter(client, deployment, "kafka", "bootstrap"),
        auth="iam",
        region=str(client("ssm").meta.region_name),
        client=client,
        clock=WallClock(),
    )


def _parameter(client: Client, deployment: str, *path: str) -> str:
    with translated():
        answer = client("ssm").get_parameter(Name=parameter(deployment, *path))
    return str(answer["Parameter"]["Value"])
