"""archive_history: records of every topic -> one gzipped file of JSON lines a topic and batch.

In: an MSK event. Out: nothing; the batch fails as a whole, and a retry writes the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from archive_history.settings import Settings
from desireline.adapters.aws import client
from desireline.adapters.lambda_events import kafka_records
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.s3 import S3Blobs
from desireline.archive.archive_history import ArchiveHistory
from desireline.contracts import METRICS_NAMESPACE

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ArchiveHistory:
    """The composition root."""
    blobs = S3Blobs(client("s3"), Settings().archive_bucket)
    return ArchiveHistory(blobs=blobs, metrics=EmfMetrics(metrics))


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Archive the batch."""
    use_case()(kafka_records(event))
