"""score_journey: records of events.resolved and identity.changed -> rows of the table journeys.

In: an MSK event. Out: a partial batch response that names the records to try again. What changed
is announced from the table's stream, by publish_changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.lambda_events import kafka_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.packaged_models import journey_model
from desireline.contracts import METRICS_NAMESPACE
from desireline.score.score_journey import ScoreJourneys
from score_journey.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ScoreJourneys:
    """The composition root. Raises InvalidModelError: a damaged model scores nobody."""
    return ScoreJourneys(
        store=DynamoStore(client("dynamodb"), Settings().tables),
        model=journey_model(),
        wall=WallClock(),
        metrics=EmfMetrics(metrics),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Score what the batch changed."""
    return kafka_answer(event, use_case(), logger, metrics)
