"""receive_webhook: POST /webhooks/{source}, POST /v1/{call} -> webhooks.raw, events.received,
events.quarantined.

In: an HTTP API event, payload version 2.0. Out: 200 once Kafka has it, a 4xx with a reason for the
sender, 503 while Kafka cannot be reached, and for what is our mistake: some senders repeat a 503
and no 500.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock, journey_clock
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.garbage_collection import settle
from desireline.adapters.kafka import KafkaProducer
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.adapters.suppressions import DynamoSuppressions
from desireline.contracts import METRICS_NAMESPACE, Table, Topic
from desireline.identity.aliases import Fragments
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.receive_webhook import RETRY_AFTER, UNKNOWN_SENDER, ReceiveWebhook
from desireline.receive.request import Answer, WebhookRequest
from desireline.receive.senders import known
from desireline.receive.suppress import Objections
from desireline.throttle import Throttle
from receive_webhook.settings import Settings

DIRECT = "direct"
CALL_SECONDS = 0.7

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)


@cache
def use_case() -> ReceiveWebhook:
    """The composition root."""
    settings = Settings()
    producer = KafkaProducer(
        settings.kafka_bootstrap,
        settings.kafka_auth,
        probe=Topic.EVENTS_RECEIVED,
        region=settings.aws_region,
    )
    secrets = SecretsManager(quick("secretsmanager"), settings.deployment)
    rows = quick("dynamodb")
    store = DynamoStore(
        rows,
        {
            Table.STATES: settings.table_states,
            Table.IDENTITY: settings.table_identity,
            Table.INTERVENTIONS: settings.table_interventions,
        },
    )
    wall, counted = WallClock(), EmfMetrics(metrics)
    plan = load_plan()
    composed = ReceiveWebhook(
        senders=known(settings.senders),
        secrets=secrets,
        canonical=Canonical(plan, Fragments(secrets.current("identity")[0])),
        plan_version=plan.version,
        producer=producer,
        clock=journey_clock(settings.clock_url),
        wall=wall,
        metrics=counted,
        throttle=Throttle(store, settings.limits, wall, counted),
        suppressions=DynamoSuppressions(rows, settings.table_interventions, wall, counted),
        objections=Objections(store, wall),
    )
    settle()
    return composed


def quick(service: str) -> Any:
    """A client that gives up while the sender still waits. Once, for several may have to be waited
    for in turn, and who is told to come again does."""
    return client(service, attempts=1, read_timeout=CALL_SECONDS, connect_timeout=CALL_SECONDS)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take one webhook. An error that nobody foresaw is ours: counted, logged without what the
    sender sent, and answered so that the sender comes again."""
    source = ""
    try:
        request = _request(event, context)
        source = request.source
        answer = use_case()(request)
    except Exception as error:
        metrics.add_metric("webhooks_failed", MetricUnit.Count, 1)
        places = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)]
        logger.error("failed", source=source, error=type(error).__name__, places=places)
        answer = Answer(503, "internal", retry_after=RETRY_AFTER)
    if answer.status >= 400:
        # A path that names no sender may name anything: a key, or an address.
        told = "" if answer.reason == UNKNOWN_SENDER else source
        logger.warning("refused", source=told, status=answer.status, why=answer.reason)
    return _response(answer)


def _request(event: Mapping[str, Any], context: LambdaContext) -> WebhookRequest:
    body = event.get("body") or ""
    path = event.get("pathParameters") or {}
    headers = event.get("headers") or {}
    return WebhookRequest(
        # The path /v1/{call} names no sender: it is the API of the company's own.
        source=path.get("source", DIRECT if "call" in path else ""),
        call=path.get("call", ""),
        headers={name.lower(): _text(value) for name, value in headers.items()},
        body=base64.b64decode(body) if event.get("isBase64Encoded") else _bytes(body),
        remote_address=event["requestContext"]["http"].get("sourceIp"),
        deadline=context.get_remaining_time_in_millis() / 1000,
        url=_url(event),
        method=event["requestContext"]["http"].get("method", "POST"),
    )


def _bytes(body: str) -> bytes:
    """A text as it was sent. What is no text was sent by nobody, and matches no signature."""
    return body.encode(errors="replace")


def _text(value: str) -> str:
    """A header that can be written again: one that is no text was sent by nobody, either."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def _url(event: Mapping[str, Any]) -> str:
    """As the sender called it: behind a domain of one's own, that domain."""
    query = event.get("rawQueryString")
    path = event.get("rawPath", "")
    host = event["requestContext"].get("domainName", "")
    return f"https://{host}{path}{f'?{query}' if query else ''}"


def _response(answer: Answer) -> dict[str, Any]:
    said = {
        "reason": answer.reason or None,
        "detail": answer.detail or None,
        "accepted": answer.accepted,
        "quarantined": answer.quarantined,
        "withheld": answer.withheld or None,
        "ignored": answer.ignored or None,
    }
    headers = {"content-type": "application/json"}
    if answer.retry_after is not None:
        headers["retry-after"] = str(answer.retry_after)
    told = answer.reply
    if told is None:
        told = {name: value for name, value in said.items() if value is not None}
    return {
        "statusCode": answer.status,
        "headers": headers,
        "body": orjson.dumps(told).decode(),
    }
