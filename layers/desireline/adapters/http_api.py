"""API Gateway's HTTP API: its events (payload version 2.0) as requests, and answers for it."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from desireline.receive.receive_webhook import RETRY_AFTER, UNKNOWN_SENDER
from desireline.receive.request import Answer, WebhookRequest

DIRECT = "direct"
"""The sender of the routes /v1/{call}: the company's own sites and servers."""


class ApiRequest(NamedTuple):
    """A request to an API of our own. query: the parameters, of which the gateway joins repeated
    ones by commas."""

    method: str
    path: str
    query: Mapping[str, str]
    body: str


def api_request(event: Mapping[str, Any]) -> ApiRequest:
    """Return the request in an event."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode(errors="replace")
    return ApiRequest(
        method=event["requestContext"]["http"]["method"],
        path=unquote(event["rawPath"]),
        query=event.get("queryStringParameters") or {},
        body=body,
    )


def webhook_request(event: Mapping[str, Any], context: LambdaContext) -> WebhookRequest:
    """Return the request in an event. Raises KeyError, ValueError if the gateway made no such
    event."""
    body = event.get("body") or ""
    path = event.get("pathParameters") or {}
    headers = event.get("headers") or {}
    return WebhookRequest(
        source=path.get("source", DIRECT if "call" in path else ""),
        call=path.get("call", ""),
        headers={name.lower(): _text(value) for name, value in headers.items()},
        body=base64.b64decode(body) if event.get("isBase64Encoded") else _bytes(body),
        remote_address=event["requestContext"]["http"].get("sourceIp"),
        deadline=context.get_remaining_time_in_millis() / 1000,
        url=_url(event),
        method=event["requestContext"]["http"].get("method", "POST"),
    )


def webhook_answer(
    event: Mapping[str, Any],
    context: LambdaContext,
    compose: Callable[[], Callable[[WebhookRequest], Answer]],
    logger: Logger,
    metrics: Metrics,
) -> dict[str, Any]:
    """Call the use case with the request in an event, and return the gateway's response.
    compose: returns the use case.

    Count an unexpected error, log it without the sender's data, and answer 503, so that the sender
    retries."""
    source = ""
    try:
        request = webhook_request(event, context)
        source = request.source
        answer = compose()(request)
    except Exception as error:
        metrics.add_metric("webhooks_failed", MetricUnit.Count, 1)
        frames = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)]
        logger.error("failed", source=source, error=type(error).__name__, frames=frames)
        answer = Answer(503, "internal", retry_after=RETRY_AFTER)
    if answer.status >= 400:
        # The path of an unknown sender may contain any data, such as a key or an address.
        logged = "" if answer.reason == UNKNOWN_SENDER else source
        logger.warning("refused", source=logged, status=answer.status, why=answer.reason)
    return webhook_response(answer)


def webhook_response(answer: Answer) -> dict[str, Any]:
    """Return the gateway's response for an answer: the sender's own reply, or our counts."""
    counts = {
        "reason": answer.reason or None,
        "detail": answer.detail or None,
        "accepted": answer.accepted,
        "quarantined": answer.quarantined,
        "withheld": answer.withheld or None,
        "ignored": answer.ignored or None,
    }
    headers = {} if answer.retry_after is None else {"retry-after": str(answer.retry_after)}
    body = answer.reply
    if body is None:
        body = {name: value for name, value in counts.items() if value is not None}
    return json_response(answer.status, body, headers)


def json_response(
    status: int, body: Any, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a response with a JSON body."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": orjson.dumps(body).decode(),
    }


def _bytes(body: str) -> bytes:
    """Encode a text body. Lone surrogates, which no sender can send, match no signature."""
    return body.encode(errors="replace")


def _text(value: str) -> str:
    """Return a header without lone surrogates, so that it can be encoded again."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def _url(event: Mapping[str, Any]) -> str:
    """Return the address that the sender called, with a custom domain if it used one."""
    query = event.get("rawQueryString")
    path = event.get("rawPath", "")
    host = event["requestContext"].get("domainName", "")
    return f"https://{host}{path}{f'?{query}' if query else ''}"
