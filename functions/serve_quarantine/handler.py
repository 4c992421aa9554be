"""serve_quarantine: list, show, repair and replay cases of quarantine over HTTP.

In: HTTP API events, payload version 2.0, of callers that API Gateway has authorised by IAM. Out:
JSON. docs/quarantine.md describes requests and answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters import compose
from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock
from desireline.adapters.http_api import api_request, json_response
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.plan.tracking_plan import load_plan
from desireline.recover.quarantine.cases import Cases
from desireline.recover.quarantine.serve_quarantine import ServeQuarantine
from serve_quarantine.settings import Settings

logger, tracer, metrics = Logger(), Tracer(), Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ServeQuarantine:
    """Compose the use case."""
    settings = Settings()
    plan, rows = load_plan(), client("dynamodb")
    secrets = SecretsManager(client("secretsmanager"), settings.deployment)
    suppressed = compose.suppressions(settings.tables, EmfMetrics(metrics), rows)
    return ServeQuarantine(
        cases=Cases(compose.store(settings, rows)),
        bodies=compose.raw_bodies(settings, settings.archive_bucket),
        senders=compose.all_senders(plan, settings.senders),
        mapper=lambda plan: compose.mapper(plan, secrets, suppressed),
        plan=plan,
        producer=compose.producer(settings),
        wall=WallClock(),
    )


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    metrics.add_metric("requests", MetricUnit.Count, 1)
    status, answer = use_case()(*api_request(event))
    logger.info("answered", route=event.get("routeKey"), status=status)
    return json_response(status, answer)
