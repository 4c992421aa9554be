"""The graphs of the operations dashboard, in the order of the pipeline."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_cloudwatch as cloudwatch

from desireline.contracts import (
    CONSUMED_TOPICS,
    METRICS_NAMESPACE,
    Function,
    Table,
    consumer_group,
    table_name,
)
from desireline.intervene.channels import CHANNELS
from infra.building_blocks.channel_queue import queue_name
from infra.source_settings import Sources
from infra.watch.alarms import deployed

WIDTH = 8


def rows_of_graphs(
    deployment: str, *, region: str, api: str, sources: Sources
) -> list[list[cloudwatch.IWidget]]:
    """Return the rows of graphs: traffic and lag, failures, decisions, dead letters and capacity.

    api: the id of the HTTP API. The graphs find our own metrics by a search, because their
    dimensions are not known in advance.
    """
    names = {
        function: f"{deployment}-{function.replace('_', '-')}" for function in deployed(sources)
    }
    return [
        [
            _graph(
                "Webhooks, by answer and reason",
                [
                    *_ours("webhooks_accepted"),
                    *_ours("webhooks_refused"),
                    *_ours("webhooks_unavailable"),
                ],
                region,
            ),
            _graph("Seconds behind, by group", _lags(deployment, sources), region, unit="s"),
            _graph("Answer time of webhooks", _answers(api), region, unit="ms"),
        ],
        [
            _graph("Invocations", _lambda(names.values(), "Invocations", "Sum"), region),
            _graph("Errors", _lambda(names.values(), "Errors", "Sum"), region),
            _graph("Duration, p95", _lambda(names.values(), "Duration", "p95"), region, unit="ms"),
        ],
        [
            _graph("Decisions by gate", _ours("decisions"), region),
            _graph("Deliveries by outcome", _ours("deliveries"), region),
            _graph("Quarantine, by reason", _ours("events_quarantined"), region),
        ],
        [
            _graph("Dead letters of channels", _dead_letters(deployment), region),
            _graph("Table capacity used", _capacity(deployment, sources), region),
            _graph(
                "Concurrency", _lambda(names.values(), "ConcurrentExecutions", "Maximum"), region
            ),
        ],
    ]


def _graph(
    title: str, metrics: Iterable[cloudwatch.IMetric], region: str, *, unit: str = "count"
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(label=unit, min=0, show_units=False),
        region=region,
        width=WIDTH,
        height=6,
    )


def _ours(metric: str) -> list[cloudwatch.IMetric]:
    """Return one of our own metrics, with a line for each value of its dimensions."""
    expression = f'SEARCH(\'Namespace="{METRICS_NAMESPACE}" MetricName="{metric}"\', "Sum", 60)'
    return [cloudwatch.MathExpression(expression=expression, label="", using_metrics={})]


def _answers(api: str) -> list[cloudwatch.IMetric]:
    return [
        cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name="Latency",
            dimensions_map={"ApiId": api},
            statistic=statistic,
            label=statistic,
        )
        for statistic in ("p50", "p95", "p99")
    ]


def _lambda(names: Iterable[str], metric: str, statistic: str) -> list[cloudwatch.IMetric]:
    return [
        cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name=metric,
            dimensions_map={"FunctionName": name},
            statistic=statistic,
            label=name,
        )
        for name in names
    ]


def _lags(deployment: str, sources: Sources) -> list[cloudwatch.IMetric]:
    groups = [
        (consumer_group(function, topic), topic.value)
        for function, topics in CONSUMED_TOPICS.items()
        if function is not Function.ARCHIVE_HISTORY
        for topic in topics
    ]
    groups += [(one.consumer_group, one.topic) for one in sources.topics if one.cluster == "own"]
    return [
        cloudwatch.Metric(
            namespace="AWS/Kafka",
            metric_name="EstimatedMaxTimeLag",
            dimensions_map={
                "Cluster Name": deployment,
                "Consumer Group": group,
                "Topic": topic,
            },
            statistic="Maximum",
            label=group,
        )
        for group, topic in groups
    ]


def _dead_letters(deployment: str) -> list[cloudwatch.IMetric]:
    return [
        cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name="ApproximateNumberOfMessagesVisible",
            dimensions_map={"QueueName": f"{deployment}-{queue_name(channel)}-dead"},
            statistic="Maximum",
            label=channel,
        )
        for channel in sorted(CHANNELS)
    ]


def _capacity(deployment: str, sources: Sources) -> list[cloudwatch.IMetric]:
    return [
        cloudwatch.Metric(
            namespace="AWS/DynamoDB",
            metric_name="ConsumedWriteCapacityUnits",
            dimensions_map={"TableName": table_name(deployment, table)},
            statistic="Sum",
            label=table.value,
        )
        for table in Table
        if table is not Table.SOURCES or sources.mixpanel_export
    ]
