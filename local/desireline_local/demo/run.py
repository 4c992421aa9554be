"""Drive a company through the running cloud, and through the in-memory pipeline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desireline.contracts import Table, Topic, parameter
from desireline.rows import Row
from desireline_learning.simulator.company import Company
from desireline_local.cloud import Addresses
from desireline_local.demo.drive import DriveProgress, drive
from desireline_local.demo.in_memory import InMemoryPipeline
from desireline_local.demo.ledger import LedgerLine, all_rows, ledger_lines
from desireline_local.demo.world import CloudWorld, WebhookAnswer
from desireline_local.kafka.offsets import Offsets
from desireline_operate.warehouse.connection import rows

MAILBOX = "desireline-demo-csm"
ARCHIVE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ReceivedAlert:
    """An alert as a CSM receives it."""

    subject: str
    body: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """The results of a run. expected: the decisions of the same events in memory. produced, loaded:
    the numbers of records by topic, in Kafka and in the warehouse."""

    progress: DriveProgress
    seconds: float
    answers: tuple[WebhookAnswer, ...]
    alerts: tuple[ReceivedAlert, ...]
    interventions: tuple[Row, ...]
    journeys: tuple[Row, ...]
    decisions: tuple[LedgerLine, ...]
    expected: tuple[LedgerLine, ...]
    produced: dict[str, int]
    loaded: dict[str, int]


def prepare(addresses: Addresses, start: int) -> str:
    """Enable sends, create the CSM's mailbox, and freeze the clock at `start`. Returns the
    mailbox's URL."""
    switches = parameter(addresses.deployment, "switches")
    addresses.client("ssm").put_parameter(
        Name=switches, Value=json.dumps({"send_mode": "live"}), Type="String", Overwrite=True
    )
    sqs = addresses.client("sqs")
    url = str(sqs.create_queue(QueueName=MAILBOX)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    for topic in addresses.alert_topics.values():
        addresses.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
    addresses.clock().freeze(start)
    return url


def replay(addresses: Addresses, company: Company, report: Callable[[DriveProgress], None]) -> Run:
    """Replay the company. Raises SettleError if the pipeline does not come to rest."""
    scenario = company.scenario
    mailbox = prepare(addresses, scenario.start)
    began = time.monotonic()
    with CloudWorld(addresses) as world:
        progress = drive(world, company.deliveries, until=scenario.end, report=report)
        answers = tuple(world.answers)
    seconds = time.monotonic() - began
    produced, loaded = archived(addresses)
    interventions = all_rows(addresses, Table.INTERVENTIONS)
    return Run(
        progress=progress,
        seconds=seconds,
        answers=answers,
        alerts=tuple(mail(addresses, mailbox)),
        interventions=tuple(interventions),
        journeys=tuple(all_rows(addresses, Table.JOURNEYS)),
        decisions=tuple(ledger_lines(interventions)),
        expected=tuple(in_memory(addresses, company)),
        produced=produced,
        loaded=loaded,
    )


def in_memory(addresses: Addresses, company: Company) -> list[LedgerLine]:
    """Return the decisions of the same deliveries in the in-memory pipeline."""
    pipeline = InMemoryPipeline(
        namespace=addresses.secret("identity"), start=company.scenario.start
    )
    drive(pipeline, company.deliveries, until=company.scenario.end)
    return pipeline.decisions()


def archived(addresses: Addresses) -> tuple[dict[str, int], dict[str, int]]:
    """Wait until the warehouse has as many records as Kafka, and return both counts.

    After ARCHIVE_SECONDS it returns them even if they differ."""
    offsets = Offsets(addresses.kafka, [topic.value for topic in Topic])
    connection = addresses.connect()
    until = time.monotonic() + ARCHIVE_SECONDS
    while True:
        produced = {topic: sum(ends.values()) for topic, ends in offsets.ends().items()}
        loaded = {topic: _loaded(connection, topic) for topic in produced}
        if produced == loaded or time.monotonic() > until:
            return produced, loaded
        time.sleep(0.5)


def mail(addresses: Addresses, mailbox: str) -> list[ReceivedAlert]:
    """Read all alerts in the CSM's mailbox, in the order of arrival."""
    sqs = addresses.client("sqs")
    alerts: list[ReceivedAlert] = []
    while True:
        answer = sqs.receive_message(QueueUrl=mailbox, MaxNumberOfMessages=10)
        messages = answer.get("Messages", ())
        if not messages:
            return alerts
        for message in messages:
            alerts.append(_received_alert(json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=mailbox, ReceiptHandle=message["ReceiptHandle"])


def _received_alert(envelope: dict[str, Any]) -> ReceivedAlert:
    attributes = envelope.get("MessageAttributes", {})
    return ReceivedAlert(
        subject=envelope.get("Subject", ""),
        body=envelope["Message"],
        attributes={name: str(value["Value"]) for name, value in attributes.items()},
    )


def _loaded(connection: Any, topic: str) -> int:
    table = topic.replace(".", "_")
    count = rows(
        connection,
        f"select count(*) from (select distinct topic_partition, topic_offset from raw.{table})",
    )
    return int(count[0][0])
