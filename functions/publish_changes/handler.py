"""publish_changes: the streams of the tables -> Kafka topics and the channels' queues.

In: a DynamoDB stream event. Out: a partial batch response that has the stream taken up again at the
first change that could not be announced.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.lambda_events import stream_changes, stream_failure
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.sqs import SqsQueue
from desireline.announce.publish_changes import PublishChanges
from desireline.contracts import METRICS_NAMESPACE, Topic
from publish_changes.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> PublishChanges:
    """The composition root."""
    settings = Settings()
    producer = KafkaProducer(
        settings.kafka_bootstrap,
        settings.kafka_auth,
        probe=Topic.DECISIONS_MADE,
        region=settings.aws_region,
    )
    return PublishChanges(
        producer=producer,
        queues={name: SqsQueue(client("sqs"), url) for name, url in settings.queues.items()},
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Announce the batch."""
    changes = stream_changes(event)
    metrics.add_metric("changes", MetricUnit.Count, len(changes))
    failed = use_case()(changes)
    if failed is not None:
        logger.warning("to be taken up again", sequence_number=failed)
    return stream_failure(failed)
