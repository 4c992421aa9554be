"""The local cloud: Kafka, AWS with the deployed CDK application, the pollers and the warehouse."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from botocore.credentials import Credentials

from desireline.contracts import TOPICS, Function, Table, parameter, table_name
from desireline_local.assembly import cloud_assembly
from desireline_local.aws.cloud import ACCOUNT, IDLE_SECONDS, REGION, Control, LocalAws, client
from desireline_local.deploy import Deployer
from desireline_local.kafka.broker import LOOPBACK, Kafka, create_topics, free_port
from desireline_local.poller.status import PollerStatus
from desireline_local.processes import resident_bytes, spawn, stop, wait_until
from desireline_local.warehouse.connection import connect
from desireline_local.warehouse.part import WarehousePart
from desireline_operate.deployment import Deployment

DEPLOYMENT = "desireline-dev"
CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/local/00000000-0000-0000-0000-000000000001-1"
POLLER_SECONDS = 180.0

IDENTITY = "desireline on a laptop"
"""The key from which every local cloud derives fragments; on AWS it is a secret. So two runs of one
story have the same persons in the same partitions and in the same holdout."""

COMPANY_TOPICS = {"company.events": 4}
"""The company's own topics that are sources of the local deployment, and their partition counts.
The local cloud creates them itself."""

Report = Callable[[str], None]


class CloudError(Exception):
    """A part of the local cloud did not start, or has ended; the message names the part."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a running cloud. called: the webhooks' address as the function sees it,
    which some senders sign. alert_topics: ARN of the SNS topic, by channel."""

    webhooks: str
    called: str
    aws: str
    control: str
    kafka: str
    poller: str
    warehouse: str
    alert_topics: dict[str, str]
    quarantine: str
    archive_bucket: str
    mixpanel: str
    deployment: str = DEPLOYMENT

    @property
    def host(self) -> str:
        """The host for Segment's libraries, which post to /v1 below it."""
        return self.webhooks.removesuffix("/webhooks")

    def client(self, service: str) -> Any:
        """Return a boto3 client of the running cloud."""
        return client(self.aws, service)

    def clock(self) -> Control:
        """Return the control of the journey clock and of faults."""
        return Control(self.control)

    def polling(self) -> PollerStatus:
        """Return the client of the pollers' status."""
        return PollerStatus(self.poller)

    def as_deployment(self) -> Deployment:
        """Return the cloud as a deployment, on which the operators' commands work."""
        return Deployment(
            name=self.deployment,
            bootstrap=self.kafka,
            auth="plaintext",
            region=REGION,
            client=lambda service, **_: self.client(service),
            clock=self.clock(),
            connect=self.connect,
            credentials=lambda: Credentials("test", "test"),
            quarantine=self.quarantine,
        )

    def connect(self) -> Any:
        """Return a connection to the warehouse. Raises UnavailableError."""
        return connect(int(self.warehouse.rpartition(":")[2]))

    def table(self, table: Table) -> str:
        """Return the deployed name of a table."""
        return table_name(self.deployment, table)

    def secret(self, name: str) -> bytes:
        """Return the current value of a sender's secret."""
        return self.as_deployment().secret(name)


class LocalCloud:
    """A local cloud: a context manager, or start, check (raises if a part has ended) and stop.

    home: a folder for its files only, which stop removes. bootstrap: address of an existing Kafka;
    None to start one. nodes: of the started Kafka, 1 or 3. auth: whether the local AWS checks
    rights. warm: start functions with the cloud, not with their first work. idle: see LocalAws.
    """

    def __init__(
        self,
        home: Path,
        *,
        bootstrap: str | None = None,
        nodes: int = 1,
        warehouse: bool = True,
        auth: bool = False,
        warm: bool = True,
        idle: float = IDLE_SECONDS,
        report: Report = lambda _: None,
    ) -> None:
        self.home = home
        self.aws = LocalAws(home / "aws", auth=auth, idle=idle)
        self._warm = warm
        self.kafka = None if bootstrap else Kafka(home / "kafka", nodes=nodes, report=report)
        self._bootstrap = bootstrap
        self._report = report
        self._replicas = nodes
        self.warehouse = WarehousePart(home / "warehouse") if warehouse else None
        self._poller_port = free_port()
        self._mixpanel = f"http://{LOOPBACK}:{free_port()}"
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self.addresses: Addresses | None = None

    def __enter__(self) -> LocalCloud:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        if self._bootstrap:
            return self._bootstrap
        assert self.kafka is not None
        return self.kafka.bootstrap

    @property
    def at(self) -> Addresses:
        """The addresses of the started cloud."""
        if self.addresses is None:
            raise CloudError("the local cloud has not started")
        return self.addresses

    def start(self) -> Addresses:
        """Start all parts, and return when they are ready. Raises CloudError and parts' errors."""
        self._report("Kafka and AWS")
        self.aws.launch(self._report)
        if self.warehouse:
            self.warehouse.launch()
        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(cloud_assembly, self._report)
            if self.kafka:
                self.kafka.start()
            assembly = building.result()
        self.aws.wait()
        partitions = {topic.value: spec.partitions_dev for topic, spec in TOPICS.items()}
        partitions |= COMPANY_TOPICS
        create_topics(self.bootstrap, partitions, replicas=self._replicas)
        outputs = self._deploy(assembly)
        with closing(self.aws.client("secretsmanager")) as secrets:
            secrets.put_secret_value(SecretId=f"{DEPLOYMENT}/identity", SecretString=IDENTITY)
        self.addresses = self._addresses(outputs)
        if self.warehouse:
            self._report("warehouse: migrations, Snowpipe")
            bucket = self.addresses.archive_bucket
            self.warehouse.connect(self.aws.endpoint, outputs["ArrivalsTopic"], f"s3://{bucket}")
        self.start_poller()
        if self._warm:
            self._report("functions: warming up")
            self.warm_up()
        return self.addresses

    def start_poller(self) -> None:
        """Start the pollers, also after `kill_poller`, and return when they answer."""
        command = [
            *(sys.executable, "-m", "desireline_local.poller"),
            *(self.aws.endpoint, self.bootstrap, str(self._poller_port)),
        ]
        self._parts["poller"] = spawn(command, log=self.home / "poller.log")
        poller = self.at.polling()

        def answers() -> bool:
            self.check()
            with suppress(httpx.TransportError):
                return poller.ready()
            return False

        if not wait_until(answers, POLLER_SECONDS):
            raise CloudError(f"the pollers do not answer: read {self.home / 'poller.log'}")

    def kill_poller(self) -> None:
        """Kill the pollers, as a power cut would, for tests."""
        process = self._parts.pop("poller")
        process.kill()
        process.wait()

    def check(self) -> None:
        """Check that all parts run. Raises CloudError with the end of the log of an ended part."""
        for name, process in self._processes().items():
            if process.poll() is not None:
                log = next(iter(self.home.glob(f"**/{name}*.log")), None)
                tail = log.read_text()[-1500:] if log else ""
                raise CloudError(f"{name} has ended with status {process.returncode}\n{tail}")

    def memory(self) -> int:
        """Return the resident bytes of all parts and their children."""
        return resident_bytes(process.pid for process in self._processes().values())

    def stop(self) -> None:
        """End all parts and remove their files."""
        stop(list(self._parts.values()))
        if self.warehouse:
            self.warehouse.stop()
        self.aws.stop()
        if self.kafka:
            self.kafka.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _processes(self) -> dict[str, subprocess.Popen[bytes]]:
        processes = dict(self._parts)
        if self.aws.process:
            processes["aws"] = self.aws.process
        if self.kafka:
            processes.update(
                (f"kafka-{node.id}", node.process) for node in self.kafka.nodes if node.process
            )
        if self.warehouse:
            processes.update(self.warehouse.processes)
        return processes

    def _deploy(self, assembly: Path) -> dict[str, str]:
        deployer = Deployer(self.aws.client)
        deployer.parameters(
            {
                parameter(DEPLOYMENT, "kafka", "bootstrap"): self.bootstrap,
                parameter(DEPLOYMENT, "kafka", "cluster-arn"): CLUSTER,
                parameter(DEPLOYMENT, "clock", "url"): self.aws.clock_url,
                parameter(DEPLOYMENT, "local", "aws"): self.aws.endpoint,
                parameter(DEPLOYMENT, "mixpanel", "url"): self._mixpanel,
            }
        )
        return deployer.deploy(assembly, lambda stack: self._report(f"deployed {stack}"))

    def _addresses(self, outputs: dict[str, str]) -> Addresses:
        url = urlsplit(outputs["WebhooksUrl"])
        return Addresses(
            webhooks=self._local_url(outputs["WebhooksUrl"]),
            called=f"https://{url.hostname}{url.path}",
            aws=self.aws.endpoint,
            control=self.aws.control.url,
            kafka=self.bootstrap,
            poller=f"http://{LOOPBACK}:{self._poller_port}",
            warehouse=self.warehouse.address if self.warehouse else "",
            alert_topics=json.loads(outputs["AlertTopics"]),
            quarantine=self._local_url(outputs["QuarantineUrl"]),
            archive_bucket=f"{DEPLOYMENT}-archive-{ACCOUNT}",
            mixpanel=self._mixpanel,
        )

    def _local_url(self, address: str) -> str:
        """Translate an address of API Gateway into the one that answers on this machine."""
        url = urlsplit(address)
        api = str(url.hostname).partition(".")[0]
        return f"{self.aws.endpoint}/_aws/execute-api/{api}/$default{url.path}"

    def warm_up(self) -> None:
        """Invoke functions once, so that their first event does not wait for initialisation.

        Raises CloudError."""
        lambdas = self.aws.client("lambda")

        def invoke(function: Function) -> str:
            name = f"{DEPLOYMENT}-{function.replace('_', '-')}"
            answer = lambdas.invoke(
                FunctionName=name, Payload=json.dumps(WARM[function][1]).encode()
            )
            body = answer["Payload"].read().decode()
            if answer.get("FunctionError") and function is not Function.CHECK_PLAYBOOK:
                return f"{function}: {body[:800]}"
            return ""

        copies = [function for function, (count, _) in WARM.items() for _ in range(count)]
        with ThreadPoolExecutor(len(copies)) as pool:
            failures = list(filter(None, pool.map(invoke, copies)))
        if failures:
            raise CloudError("a function does not initialise: " + "; ".join(failures))


_NO_RECORDS: dict[str, Any] = {"records": {}}
WARM: dict[Function, tuple[int, dict[str, Any]]] = {
    Function.RECEIVE_WEBHOOK: (
        3,
        {
            "version": "2.0",
            "headers": {},
            "body": "",
            "isBase64Encoded": False,
            "pathParameters": {"source": "nobody"},
            "requestContext": {"http": {"sourceIp": LOOPBACK}},
        },
    ),
    Function.RESOLVE_IDENTITY: (2, _NO_RECORDS),
    Function.SCORE_JOURNEY: (2, _NO_RECORDS),
    Function.START_INTERVENTIONS: (2, _NO_RECORDS),
    Function.ARCHIVE_HISTORY: (1, _NO_RECORDS),
    Function.PUBLISH_CHANGES: (1, {"Records": []}),
    Function.DELIVER_ACTION: (1, {"Records": []}),
    Function.CHECK_PLAYBOOK: (2, {"enrolment": "00000000-0000-0000-0000-000000000000"}),
}
"""For each function on the way to an alert, the number of environments to warm, because several
event sources or clients may invoke it at once, and an event without work. The other functions
initialise when they are needed, to save memory."""
