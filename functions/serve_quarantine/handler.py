"""serve_quarantine: list, show, repair and replay cases of quarantine over HTTP.

In: HTTP API events, payload version 2.0, of callers that API Gateway has authorised by IAM. Out:
JSON; 400 with a reason, 404, or 503 while the brokers or the archive are unavailable.
docs/quarantine.md describes requests and answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.adapters import compose
from desireline.adapters.aws import client
from desireline.adapters.clock import WallClock
from desireline.adapters.http_api import json_response
from desireline.adapters.metrics import EmfMetrics
from desireline.adapters.secrets import SecretsManager
from desireline.contracts import METRICS_NAMESPACE
from desireline.errors import RetryableError
from desireline.plan.tracking_plan import load_plan
from desireline.recover.quarantine.cases import Cases
from desireline.recover.quarantine.request import (
    InvalidPlanError,
    InvalidRequestError,
    from_body,
    from_query,
)
from desireline.recover.quarantine.serve_quarantine import ServeQuarantine
from serve_quarantine.settings import Settings

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=METRICS_NAMESPACE)
app = APIGatewayHttpResolver(serializer=lambda answer: orjson.dumps(answer).decode())


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


@app.get("/quarantine")
def list_cases() -> dict[str, Any]:
    """Return the counts by group and the newest cases."""
    return use_case().list(from_query(app.current_event.query_string_parameters))


@app.get("/quarantine/<case_id>")
def show_case(case_id: str) -> Response[str] | dict[str, Any]:
    """Return one case, or 404."""
    details = use_case().show(case_id)
    if details is not None:
        return details
    detail = {"reason": "unknown_case", "detail": case_id[:100]}
    return Response(404, "application/json", orjson.dumps(detail).decode())


@app.post("/quarantine/preview")
def preview() -> dict[str, Any]:
    """Return the cases before and after a correction."""
    return use_case().preview(from_body(app.current_event.decoded_body))


@app.post("/quarantine/replay")
def replay() -> dict[str, Any]:
    """Replay the cases that a correction repairs."""
    return use_case().replay(from_body(app.current_event.decoded_body))


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    metrics.add_metric("requests", MetricUnit.Count, 1)
    answer = _answer(event, context)
    logger.info("answered", route=event.get("routeKey"), status=answer["statusCode"])
    return answer


def _answer(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request. An interrupted replay may be repeated, and continues with the rest."""
    try:
        return app.resolve(dict(event), context)
    except InvalidRequestError as error:
        return _refusal(400, "invalid_request", str(error))
    except InvalidPlanError as error:
        return _refusal(400, "invalid_plan", str(error)[:500])
    except RetryableError as error:
        return _refusal(503, "unavailable", type(error).__name__)


def _refusal(status: int, reason: str, detail: str) -> dict[str, Any]:
    return json_response(status, {"reason": reason, "detail": detail})
