"""resolve_identity: records of events.received -> persons, subjects, counted states.

In: an MSK event. Out: a partial batch response that names the records to try again. Passes the
events on to events.resolved, and what cannot be read to events.quarantined.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.lambda_events import kafka_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.contracts import METRICS_NAMESPACE, Topic
from desireline.resolve.resolve_identity import ResolveIdentity
from resolve_identity.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ResolveIdentity:
    """The composition root."""
    settings = Settings()
    return ResolveIdentity(
        store=DynamoStore(client("dynamodb"), settings.tables),
        producer=KafkaProducer(
            settings.kafka_bootstrap,
            settings.kafka_auth,
            probe=Topic.EVENTS_RESOLVED,
            region=settings.aws_region,
        ),
        clock=journey_clock(settings.clock_url),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Resolve the batch."""
    return kafka_answer(event, use_case(), logger, metrics)
