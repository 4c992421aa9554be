"""receive_topic: records of the company's own topics -> webhooks.raw, events.received,
events.quarantined.

In: a Kafka event of our cluster or another one. Out: an empty partial batch response. Receive
quarantines reports that break the plan. If Kafka is unavailable, the function raises, and Lambda
delivers the whole batch again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters import compose
from desireline.adapters.aws import client
from desireline.adapters.lambda_events import kafka_failures, kafka_records
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.plan.tracking_plan import load_plan
from desireline.receive.receive_topic import ReceiveTopic
from desireline.receive.senders._topic import topic_senders
from desireline.records import BatchResult
from receive_topic.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ReceiveTopic:
    """Compose the use case."""
    settings = Settings()
    secrets = SecretsManager(client("secretsmanager"), settings.deployment)
    plan, rows = load_plan(), client("dynamodb")
    senders = topic_senders(plan)
    ports = compose.receiver_ports(settings, plan, secrets, EmfMetrics(metrics), rows)
    return ReceiveTopic(
        sources={topic: senders[source] for topic, source in settings.topics.items()}, **ports
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Receive the batch."""
    recorded = use_case()(kafka_records(event))
    if recorded.quarantined:
        logger.warning("quarantined", reasons=dict(recorded.quarantined))
    return kafka_failures(BatchResult())
