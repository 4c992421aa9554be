"""receive_webhook: POST /webhooks/{source}, POST /v1/{call} -> webhooks.raw, events.received,
events.quarantined.

In: an HTTP API event, payload version 2.0. Out: 200 after Kafka has acknowledged the events, a 4xx
with a reason for a sender's mistake, and 503 while Kafka is unavailable. An unexpected error gives
503 too, because some senders repeat a 503 but not a 500.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters import compose
from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.garbage_collection import settle
from desireline.adapters.http_api import webhook_request, webhook_response
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.plan.tracking_plan import load_plan
from desireline.receive.receive_webhook import RETRY_AFTER, UNKNOWN_SENDER, ReceiveWebhook
from desireline.receive.request import Answer
from desireline.receive.senders import load_senders
from desireline.receive.suppress import Objections
from desireline.throttle import Throttle
from receive_webhook.settings import Settings

CALL_SECONDS = 0.7

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ReceiveWebhook:
    """Compose the use case."""
    settings = Settings()
    secrets = SecretsManager(quick("secretsmanager"), settings.deployment)
    rows = quick("dynamodb")
    store = compose.store(settings, rows)
    wall, counted = WallClock(), EmfMetrics(metrics)
    composed = ReceiveWebhook(
        senders=load_senders(settings.senders),
        secrets=secrets,
        mapper=compose.mapper(
            load_plan(), secrets, compose.suppressions(settings.tables, counted, rows)
        ),
        producer=compose.producer(settings),
        clock=journey_clock(settings.clock_url),
        wall=wall,
        metrics=counted,
        throttle=Throttle(store, settings.limits, wall, counted),
        objections=Objections(store, wall),
    )
    settle()
    return composed


def quick(service: str) -> Any:
    """Make a client that fails before the sender's deadline.

    It tries once, because a request may need several clients in turn, and the sender retries."""
    return client(service, attempts=1, read_timeout=CALL_SECONDS, connect_timeout=CALL_SECONDS)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Receive one webhook. Count an unexpected error, log it without the sender's data, and answer
    503, so that the sender retries."""
    source = ""
    try:
        request = webhook_request(event, context)
        source = request.source
        answer = use_case()(request)
    except Exception as error:
        metrics.add_metric("webhooks_failed", MetricUnit.Count, 1)
        places = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)]
        logger.error("failed", source=source, error=type(error).__name__, places=places)
        answer = Answer(503, "internal", retry_after=RETRY_AFTER)
    if answer.status >= 400:
        # The path of an unknown sender may contain any data, such as a key or an address.
        logged = "" if answer.reason == UNKNOWN_SENDER else source
        logger.warning("refused", source=logged, status=answer.status, why=answer.reason)
    return webhook_response(answer)
