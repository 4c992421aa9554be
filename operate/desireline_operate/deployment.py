"""The deployment that a command works on: the running local cloud, or one on AWS.

On AWS the stacks publish their addresses in SSM parameters under the deployment's name. The
environment gives the credentials and the region. Kafka is reachable only from the deployment's
network.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from desireline.adapters.aws import client as aws_client
from desireline.adapters.aws import credentials as aws_credentials
from desireline.adapters.aws import translated
from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import Auth, KafkaProducer
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.adapters.warehouse_history import WarehouseHistory
from desireline.contracts import IDENTITY_SECRET, Table, Topic, parameter, table_name
from desireline.identity.aliases import Fragments
from desireline.ports import Clock
from desireline.show.timeline import History, PastEvent
from desireline_operate.warehouse.connection import connect_account
from desireline_operate.warehouse.settings import account_settings

Client = Callable[..., Any]
RUNNING = "desireline.deployments"
"""The entry point group of functions that return a running deployment, as the local cloud's."""


class NotRunningError(Exception):
    """The local cloud does not run; the message says what to do."""


class NoMetrics:
    """Metrics that discard every counter, because no dashboard reads a command's metrics."""

    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


class NoHistory:
    """An empty history, for a deployment without a configured warehouse."""

    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment that a command works on.

    client: makes a boto3 client of a service. clock: journey time. auth: Kafka's authentication.
    connect: connects to the warehouse and raises UnavailableError; None without a warehouse.
    credentials: returns the AWS credentials that sign requests. quarantine: the address of the
    quarantine API; None if a stack published it.
    """

    name: str
    bootstrap: str
    auth: Auth
    region: str
    client: Client
    clock: Clock
    connect: Callable[[], Any] | None = None
    credentials: Callable[[], Any] = aws_credentials
    quarantine: str | None = None

    def parameter(self, *path: str) -> str:
        """Return a parameter that a stack published. Raises TerminalError if it is missing."""
        return _parameter(self.client, self.name, *path)

    def quarantine_url(self) -> str:
        """Return the address of the quarantine API. Raises TerminalError if it is missing."""
        return self.quarantine or self.parameter("quarantine", "url")

    def store(self) -> DynamoStore:
        """Return the store of the deployment's tables."""
        tables = {table: table_name(self.name, table) for table in Table}
        return DynamoStore(self.client("dynamodb"), tables)

    def producer(self) -> KafkaProducer:
        """Return a producer to the deployment's Kafka."""
        return KafkaProducer(
            self.bootstrap, self.auth, probe=Topic.EVENTS_RECEIVED, region=self.region
        )

    def fragments(self) -> Fragments:
        """Return the object that derives fragments with the deployment's secret."""
        return Fragments(self.secret(IDENTITY_SECRET))

    def suppressions(self) -> DynamoSuppressions:
        """Return the suppressed people, read from the deployment's tables."""
        table = table_name(self.name, Table.ADMISSION)
        return DynamoSuppressions(self.client("dynamodb"), table, WallClock(), NoMetrics())

    @contextmanager
    def history(self) -> Iterator[History]:
        """Open the past events; they are empty without a warehouse. Raises UnavailableError."""
        if self.connect is None:
            yield NoHistory()
            return
        with closing(self.connect()) as connection:
            yield WarehouseHistory(connection)

    def secret(self, name: str) -> bytes:
        """Return the current value of a secret."""
        with translated():
            answer = self.client("secretsmanager").get_secret_value(SecretId=f"{self.name}/{name}")
        return str(answer["SecretString"]).strip().encode()

    def operator(self) -> str:
        """Return the operator's name: on AWS the caller's ARN, else user@host."""
        if self.auth == "iam":
            with translated():
                return str(self.client("sts").get_caller_identity()["Arn"])
        return f"{getpass.getuser()}@{socket.gethostname()}"


def running() -> Deployment:
    """Return the running local cloud. Raises NotRunningError."""
    for entry in entry_points(group=RUNNING):
        deployment: Deployment = entry.load()()
        return deployment
    raise NotRunningError("no local cloud is installed")


def on_aws(name: str, client: Client = aws_client) -> Deployment:
    """Return a deployment on AWS. The variables SNOWFLAKE_* name its warehouse, if they are set.

    Raises TerminalError, UnavailableError, and ValueError if SNOWFLAKE_* are incomplete.
    """
    account = account_settings()
    return Deployment(
        name=name,
        bootstrap=_parameter(client, name, "kafka", "bootstrap"),
        auth="iam",
        region=str(client("ssm").meta.region_name),
        client=client,
        clock=WallClock(),
        connect=(lambda: connect_account(account)) if account else None,
    )


def _parameter(client: Client, deployment: str, *path: str) -> str:
    with translated():
        answer = client("ssm").get_parameter(Name=parameter(deployment, *path))
    return str(answer["Parameter"]["Value"])
