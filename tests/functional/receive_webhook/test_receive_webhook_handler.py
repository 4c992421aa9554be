"""The shell of receive_webhook: an HTTP API event in, an HTTP answer out."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from desireline.contracts import Topic
from desireline.errors import RefusedError
from desireline.events import RawWebhook
from desireline.receive.request import Answer, WebhookRequest
from desireline_local.sender_side.signing import sign
from receive_webhook import handler
from tests.functional.lambda_side import Context
from tests.worlds.receiving import NOW, SECRET, World

# Metrics are the world's own.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")

CALL = orjson.dumps(
    {
        "type": "track",
        "messageId": "m1",
        "timestamp": "2026-01-05T00:00:00Z",
        "userId": "ada",
        "event": "Report Viewed",
        "properties": {"name": "Über\n"},
    }
)


def event(body: bytes | str | None, headers: dict[str, str] | None = None, **more: Any) -> Any:
    """As API Gateway sends it, payload version 2.0."""
    packed = isinstance(body, bytes)
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "POST /webhooks/{source}",
        "rawPath": "/webhooks/segment",
        "rawQueryString": "",
        "headers": headers or {},
        "requestContext": {
            "domainName": "hooks.acme.com",
            "http": {"method": "POST", "sourceIp": "203.0.113.7"},
        },
        "pathParameters": {"source": "segment"},
        "isBase64Encoded": packed,
        **more,
    }
    if body is not None:
        made["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return made


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The real use case on ports in memory."""
    made = World()
    monkeypatch.setattr(handler, "use_case", lambda: made.receive)
    return made


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[WebhookRequest]:
    """What the use case is given; it answers 200."""
    requests: list[WebhookRequest] = []

    def receive(request: WebhookRequest) -> Answer:
        requests.append(request)
        return Answer(200)

    monkeypatch.setattr(handler, "use_case", lambda: receive)
    return requests


def signed(body: bytes = CALL) -> dict[str, str]:
    return sign("segment", body, SECRET, NOW)


@pytest.mark.parametrize("packed", [True, False])
def test_a_body_is_taken_as_it_was_signed_whether_text_or_base64(world, packed) -> None:
    answer = handler.handle(event(CALL if packed else CALL.decode(), signed()), Context())

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"accepted": 1, "quarantined": 0}
    assert answer["headers"] == {"content-type": "application/json"}
    assert len(world.of(Topic.EVENTS_RECEIVED)) == 1


def test_names_of_headers_are_read_in_any_case(world) -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert handler.handle(event(CALL, headers), Context())["statusCode"] == 200


def test_the_request_is_what_api_gateway_says(seen) -> None:
    handler.handle(
        event(b"\r\n", {"A": "b"}, rawPath="/webhooks/hubspot", rawQueryString="a=%2F&b=1",
              pathParameters={"source": "hubspot"}),
        Context(),
    )  # fmt: skip

    (request,) = seen
    assert request.url == "https://hooks.acme.com/webhooks/hubspot?a=%2F&b=1"
    assert (request.source, request.call, request.body) == ("hubspot", "", b"\r\n")
    assert (request.remote_address, request.deadline) == ("203.0.113.7", 14.5)
    assert request.headers == {"a": "b"}


def test_the_api_of_the_companys_own_is_a_sender_by_its_path(seen) -> None:
    handler.handle(event("{}", rawPath="/v1/t", pathParameters={"call": "t"}), Context())

    assert (seen[0].source, seen[0].call) == ("direct", "t")


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_path_that_names_nobody_is_no_sender(world, parameters) -> None:
    answer = handler.handle(event(CALL, signed(), pathParameters=parameters), Context())
    assert answer["statusCode"] == 404


def test_an_event_without_a_body_is_refused_like_an_empty_one(world) -> None:
    assert handler.handle(event(None), Context())["statusCode"] == 401
    assert handler.handle(event("\ud800", signed()), Context())["statusCode"] == 401


def test_a_header_that_is_no_text_costs_nothing(world) -> None:
    headers = {**signed(), "user-agent": "Firefox\ud800", "content-type": "Fürchterlich"}

    assert handler.handle(event(CALL, headers), Context())["statusCode"] == 200
    (record,) = world.of(Topic.WEBHOOKS_RAW)
    kept = RawWebhook.decode(record.value).headers
    assert (kept["user-agent"], kept["content-type"]) == ("Firefox?", "Fürchterlich")


def test_a_refusal_says_why(world) -> None:
    answer = handler.handle(event(CALL + b" ", signed()), Context())

    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["reason"] == "forged"


def test_without_kafka_it_says_when_to_come_again(world) -> None:
    world.broken = True
    answer = handler.handle(event(CALL, signed()), Context())

    assert answer["statusCode"] == 503
    assert int(answer["headers"]["retry-after"]) > 0


def test_a_throttled_sender_is_told_when_to_come_again(world) -> None:
    class Full:
        def take(self, sender: str, key: str | None, events: int) -> None:
            raise RefusedError(429, "throttled", retry_after=7)

    world.receive._throttle = Full()
    answer = handler.handle(event(CALL, signed()), Context())

    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (429, "7")
    assert not world.durable


@pytest.mark.parametrize("error", [RuntimeError("ada@acme.com"), KeyError("ada@acme.com")])
def test_an_error_that_nobody_foresaw_tells_the_sender_nothing_and_is_counted(
    monkeypatch, capsys, caplog, error
) -> None:
    def receive(request: WebhookRequest) -> Answer:
        raise error

    monkeypatch.setattr(handler, "use_case", lambda: receive)

    answer = handler.handle(event(CALL, signed()), Context())

    assert answer["statusCode"] == 503, "Zendesk comes again after a 503 alone"
    assert int(answer["headers"]["retry-after"]) > 0
    assert json.loads(answer["body"])["reason"] == "internal"
    logged = capsys.readouterr().out + str([vars(record) for record in caplog.records])
    assert "ada@acme.com" not in answer["body"] + logged
    assert "webhooks_failed" in logged
    assert type(error).__name__ in logged


def test_a_use_case_that_cannot_be_composed_gives_503(monkeypatch) -> None:
    def compose() -> None:
        raise RuntimeError("no secret")

    monkeypatch.setattr(handler, "use_case", compose)
    assert handler.handle(event(CALL, signed()), Context())["statusCode"] == 503


def test_an_event_that_is_none_is_ours_too() -> None:
    assert handler.handle({}, Context())["statusCode"] == 503


def test_a_path_that_names_no_sender_is_not_logged(world, capsys, caplog) -> None:
    """Given an address that was made up wrongly, with a secret or a person's address in it."""
    path = {"source": "ada@acme.com"}

    answer = handler.handle(event(CALL, signed(), pathParameters=path), Context())

    assert answer["statusCode"] == 404
    logged = capsys.readouterr().out + str([vars(record) for record in caplog.records])
    assert "ada@acme.com" not in logged
    assert "unknown_sender" in logged
