"""index_quarantine: records of events.quarantined -> rows of the table quarantine.

In: an MSK event. Out: a partial batch response with the records to retry.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.lambda_events import kafka_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.contracts import METRICS_NAMESPACE
from desireline.recover.quarantine.index_quarantine import IndexQuarantine
from index_quarantine.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> IndexQuarantine:
    """Compose the use case."""
    store = DynamoStore(client("dynamodb"), Settings().tables)
    return IndexQuarantine(store=store, metrics=EmfMetrics(metrics))


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Index the batch."""
    return kafka_answer(event, use_case(), logger, metrics)
