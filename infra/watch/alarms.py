"""Every alarm as one row: metric, threshold, severity and runbook.

No dimension is a customer. `page` calls an operator at once, `ticket` waits for the morning.
`runbook` is a heading of docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from desireline.contracts import (
    CONSUMED_TOPICS,
    METRICS_NAMESPACE,
    Function,
    Table,
    consumer_group,
    table_name,
)
from desireline.intervene.channels import CHANNELS
from desireline.rows import ANNOUNCED_TABLES
from infra.building_blocks.channel_queue import queue_name
from infra.source_settings import SOURCE_FUNCTIONS, Sources

NO_SOURCES = Sources()


class Severity(StrEnum):
    """How soon an operator has to react."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    """One alarm. It fires if `statistic` over `period` seconds is at or above `threshold` in
    `datapoints` of the last `periods` periods.

    dimensions: values may contain `{deployment}`. A value `mapping:<function>/<source>` stands for
    the id of that event source mapping.
    """

    name: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    threshold: float
    severity: Severity
    runbook: str
    period: int = 60
    periods: int = 1
    datapoints: int = 1


LAG_SECONDS = 20
"""A third of the minute within which alerts are delivered."""

ARCHIVE_LAG_SECONDS = 900
"""The archive may lag, but it must read records before Kafka deletes them after a week."""

BROKER_IDS = ("1", "2", "3")


FAILED_SENDS = {
    "sends_unknown": "The outcome of a send is unknown",
    "sends_refused": "A send is refused",
}

INTERNAL_CONSUMERS = (
    Function.RESOLVE_IDENTITY,
    Function.SCORE_JOURNEY,
    Function.START_INTERVENTIONS,
)

PULLS_INTERRUPTED = 3
PULLS_WATCHED = 6 * 3600
"""3 interrupted pulls in 6 hours. The next run continues, so fewer need no alarm."""


def alarm_rows(sources: Sources = NO_SOURCES) -> tuple[AlarmRow, ...]:
    """Return all alarms. They depend only on the sources of a deployment."""
    return (
        *_functions(sources),
        *_mappings(sources),
        *_lag(sources),
        *_channels(),
        *_api(),
        *_tables(sources),
        *(_pulls() if sources.mixpanel_export else ()),
        *_workflow(),
        *_quarantine(),
        *_brokers(),
    )


def deployed(sources: Sources) -> list[Function]:
    """Return the deployed functions."""
    return [one for one in Function if one not in SOURCE_FUNCTIONS - sources.functions]


def _functions(sources: Sources) -> Iterator[AlarmRow]:
    for function in deployed(sources):
        of_function = partial(
            AlarmRow,
            namespace="AWS/Lambda",
            dimensions={"FunctionName": "{deployment}-" + function.replace("_", "-")},
            statistic="Sum",
        )
        # pull_exports runs hourly and never twice at once, so its alarms look at hours.
        seldom = function is Function.PULL_EXPORTS
        yield of_function(
            name=f"{function}-errors",
            metric="Errors",
            threshold=PULLS_INTERRUPTED if seldom else 1,
            period=PULLS_WATCHED if seldom else 60,
            periods=1 if seldom else 5,
            datapoints=1 if seldom else 3,
            severity=Severity.TICKET,
            runbook="A function fails",
        )
        yield of_function(
            name=f"{function}-throttles",
            metric="Throttles",
            threshold=PULLS_INTERRUPTED if seldom else 1,
            period=PULLS_WATCHED if seldom else 60,
            severity=Severity.TICKET if seldom else Severity.PAGE,
            runbook="A function is throttled",
        )


def mapping_sources(sources: Sources = NO_SOURCES) -> Iterator[tuple[Function, str]]:
    """Yield function and source of every event source mapping with dead letters."""
    for source in sources.topics:
        yield Function.RECEIVE_TOPIC, source.source
    for function, topics in CONSUMED_TOPICS.items():
        for topic in topics:
            yield function, topic.value
    for table in sorted(ANNOUNCED_TABLES):
        yield Function.PUBLISH_CHANGES, table.value


def _mappings(sources: Sources) -> Iterator[AlarmRow]:
    for function, source in mapping_sources(sources):
        of_mapping = partial(
            AlarmRow,
            namespace="AWS/Lambda",
            dimensions={"EventSourceMappingUUID": f"mapping:{function}/{source}"},
            statistic="Sum",
            threshold=1,
        )
        yield of_mapping(
            name=f"{function}-{source}-dropped",
            metric="DroppedEventCount",
            severity=Severity.PAGE,
            runbook="Records are dropped",
        )
        yield of_mapping(
            name=f"{function}-{source}-dead-letters",
            metric="OnFailureDestinationDeliveredEventCount",
            severity=Severity.TICKET,
            runbook="Dead letters",
        )
        if source not in set(Table):
            yield of_mapping(
                name=f"{function}-{source}-undelivered",
                metric="OnFailureDestinationDeliveryErrorCount",
                severity=Severity.PAGE,
                runbook="Records are dropped",
            )


def _lag(sources: Sources) -> Iterator[AlarmRow]:
    for source in sources.topics:
        if source.cluster == "own":
            yield _behind(Function.RECEIVE_TOPIC, source.topic, source.consumer_group)
    for function, topics in CONSUMED_TOPICS.items():
        for topic in topics:
            yield _behind(function, topic.value, consumer_group(function, topic))
    # Lambda has IteratorAge only by function; its maximum is that of the oldest record.
    yield AlarmRow(
        name=f"{Function.PUBLISH_CHANGES}-age",
        namespace="AWS/Lambda",
        metric="IteratorAge",
        dimensions={"FunctionName": "{deployment}-publish-changes"},
        statistic="Maximum",
        threshold=LAG_SECONDS * 1000,
        severity=Severity.PAGE,
        runbook="A consumer lags",
        periods=3,
        datapoints=2,
    )


def _behind(function: Function, topic: str, group: str) -> AlarmRow:
    # The results of these functions are not needed within a minute.
    patient = function in (Function.ARCHIVE_HISTORY, Function.INDEX_QUARANTINE)
    return AlarmRow(
        name=f"{function}-{topic}-lag",
        namespace="AWS/Kafka",
        metric="EstimatedMaxTimeLag",
        dimensions={
            "Cluster Name": "{deployment}",
            "Consumer Group": group,
            "Topic": topic,
        },
        statistic="Maximum",
        threshold=ARCHIVE_LAG_SECONDS if patient else LAG_SECONDS,
        severity=Severity.TICKET if patient else Severity.PAGE,
        runbook="A consumer lags",
        periods=5 if patient else 3,
        datapoints=5 if patient else 2,
    )


def _pulls() -> Iterator[AlarmRow]:
    yield AlarmRow(
        name="pull-exports-interrupted",
        namespace=METRICS_NAMESPACE,
        metric="pulls_interrupted",
        dimensions={"service": Function.PULL_EXPORTS.value},
        statistic="Sum",
        threshold=PULLS_INTERRUPTED,
        severity=Severity.TICKET,
        runbook="A pull does not get through",
        period=PULLS_WATCHED,
    )


def _channels() -> Iterator[AlarmRow]:
    for channel, spec in sorted(CHANNELS.items()):
        for metric, runbook in FAILED_SENDS.items():
            yield AlarmRow(
                name=f"{channel}-{metric.replace('_', '-')}",
                namespace=METRICS_NAMESPACE,
                metric=metric,
                dimensions={"channel": channel, "service": Function.DELIVER_ACTION.value},
                statistic="Sum",
                threshold=1,
                severity=Severity.TICKET,
                runbook=runbook,
            )
        queue = "{deployment}-" + queue_name(channel)
        yield AlarmRow(
            name=f"{channel}-dead-letters",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": f"{queue}-dead"},
            statistic="Maximum",
            threshold=1,
            severity=Severity.TICKET,
            runbook="Dead letters",
        )
        yield AlarmRow(
            name=f"{channel}-queue-age",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue},
            statistic="Maximum",
            threshold=LAG_SECONDS,
            severity=Severity.PAGE,
            runbook="A consumer lags",
            periods=3,
            datapoints=2,
        )
        if spec.topic is not None:
            yield AlarmRow(
                name=f"{spec.topic}-undelivered",
                namespace="AWS/SNS",
                metric="NumberOfNotificationsFailed",
                dimensions={"TopicName": "{deployment}-" + spec.topic},
                statistic="Sum",
                threshold=1,
                severity=Severity.TICKET,
                runbook="A notification is not delivered",
            )


def _api() -> Iterator[AlarmRow]:
    of_api = partial(
        AlarmRow, namespace="AWS/ApiGateway", dimensions={"ApiId": "parameter:receive/api"}
    )
    yield of_api(
        name="webhooks-5xx",
        metric="5xx",
        statistic="Sum",
        threshold=1,
        periods=2,
        datapoints=2,
        severity=Severity.PAGE,
        runbook="Webhooks are refused",
    )
    yield of_api(
        name="webhooks-4xx",
        metric="4xx",
        statistic="Average",
        threshold=0.05,
        period=300,
        periods=3,
        datapoints=3,
        severity=Severity.TICKET,
        runbook="Webhooks are refused",
    )


def _tables(sources: Sources) -> Iterator[AlarmRow]:
    unused = set() if sources.mixpanel_export else {Table.SOURCES}
    for table in sorted({*Table} - unused):
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
            yield AlarmRow(
                name=f"{table}-{metric.removesuffix('ThrottleEvents').lower()}-throttles",
                namespace="AWS/DynamoDB",
                metric=metric,
                dimensions={"TableName": table_name("{deployment}", table)},
                statistic="Sum",
                threshold=1,
                severity=Severity.TICKET,
                runbook="A table is throttled",
                periods=5,
                datapoints=3,
            )


def _workflow() -> Iterator[AlarmRow]:
    of_machine = partial(
        AlarmRow,
        namespace="AWS/States",
        dimensions={"StateMachineArn": "machine"},
        statistic="Sum",
        threshold=1,
        severity=Severity.TICKET,
        runbook="Executions fail",
    )
    for metric in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionThrottled"):
        yield of_machine(name=f"run-playbook-{metric}", metric=metric)


def _quarantine() -> Iterator[AlarmRow]:
    """Watch quarantined records of internal consumers, which always mean a bug."""
    for function in INTERNAL_CONSUMERS:
        yield AlarmRow(
            name=f"{function}-quarantined",
            namespace=METRICS_NAMESPACE,
            metric="records_quarantined",
            dimensions={"service": function.value},
            statistic="Sum",
            threshold=1,
            severity=Severity.TICKET,
            runbook="Quarantine grows",
            period=300,
        )


def _brokers() -> Iterator[AlarmRow]:
    of_cluster = partial(AlarmRow, namespace="AWS/Kafka", runbook="The brokers are unwell")
    for broker in BROKER_IDS:
        of_broker = partial(
            of_cluster, dimensions={"Cluster Name": "{deployment}", "Broker ID": broker}
        )
        yield of_broker(
            name=f"broker-{broker}-cpu",
            metric="CpuUser",
            statistic="Average",
            threshold=60,
            severity=Severity.TICKET,
            periods=10,
            datapoints=8,
        )
        yield of_broker(
            name=f"broker-{broker}-connections",
            metric="IAMTooManyConnections",
            statistic="Sum",
            threshold=1,
            severity=Severity.PAGE,
        )
        yield of_broker(
            name=f"broker-{broker}-produce-throttle",
            metric="ProduceThrottleTime",
            statistic="Average",
            threshold=1,
            severity=Severity.TICKET,
            periods=5,
            datapoints=3,
        )
    yield of_cluster(
        name="offline-partitions",
        metric="OfflinePartitionsCount",
        dimensions={"Cluster Name": "{deployment}"},
        statistic="Maximum",
        threshold=1,
        severity=Severity.PAGE,
    )
