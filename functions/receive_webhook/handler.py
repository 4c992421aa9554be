"""receive_webhook: POST /webhooks/{source}, POST /v1/{call} -> webhooks.raw, events.received,
events.quarantined.

In: an HTTP API event, payload version 2.0. Out: 200 after Kafka has acknowledged the events, a 4xx
with a reason for a sender's mistake, and 503 while Kafka is unavailable. An unexpected error gives
503 too, because some senders repeat a 503 but not a 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters import compose
from desireline.adapters.aws import quick_client
from desireline.adapters.garbage_collection import settle
from desireline.adapters.http_api import webhook_answer
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.plan.tracking_plan import load_plan
from desireline.receive.receive_webhook import ReceiveWebhook
from desireline.receive.senders import load_senders
from desireline.receive.suppress import Objections
from desireline.throttle import Throttle
from receive_webhook.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ReceiveWebhook:
    """Compose the use case."""
    settings, rows = Settings(), quick_client("dynamodb")
    secrets = SecretsManager(quick_client("secretsmanager"), settings.deployment)
    ports = compose.receiver_ports(settings, load_plan(), secrets, EmfMetrics(metrics), rows)
    store, wall = compose.store(settings, rows), ports["wall"]
    composed = ReceiveWebhook(
        senders=load_senders(settings.senders),
        secrets=secrets,
        throttle=Throttle(store, settings.limits, wall, ports["metrics"]),
        objections=Objections(store, wall),
        **ports,
    )
    settle()
    return composed


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Receive one webhook."""
    return webhook_answer(event, context, use_case, logger, metrics)
