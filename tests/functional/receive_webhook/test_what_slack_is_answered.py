"""What Slack reads off our answers: status, body and headers."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest

from desireline_local.sender_side.samples import Sample, load
from receive_webhook import handler
from tests.functional.lambda_side import Context
from tests.worlds.receiving import NOW, SECRET, World

SAMPLES = {one.name: one for one in load("slack").samples}


def called(sample: Sample, secret: bytes = SECRET) -> dict[str, Any]:
    """As API Gateway hands it over: base64 or text, names of headers in any case."""
    sent = sample.signed("slack", secret, NOW)
    form = sent.body.startswith(b"payload=")
    body = base64.b64encode(sent.body) if form else sent.body
    event = {
        "version": "2.0",
        "rawPath": "/webhooks/slack",
        "pathParameters": {"source": "slack"},
        "headers": {name.title(): value for name, value in sent.headers.items()},
        "requestContext": {"http": {"method": "POST"}, "domainName": "receive.example.com"},
        "body": body.decode(),
        "isBase64Encoded": form,
    }
    return handler.handle(event, cast(Any, Context()))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("url_verification", {"challenge": SAMPLES["url_verification"].body["challenge"]}),
        ("button_of_an_alert", {}),
        ("message_in_a_shared_channel", {"accepted": 1, "quarantined": 0}),
    ],
)
def test_a_challenge_is_echoed_and_a_click_is_answered_with_nothing(
    world: World, name: str, body: dict[str, Any]
) -> None:
    answer = called(SAMPLES[name])
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, body)


def test_slack_is_never_told_not_to_repeat(world: World) -> None:
    """Given it is taken, is refused, or Kafka is away: what is not durable has to come again."""
    answers = [called(SAMPLES["team_join"]), called(SAMPLES["team_join"], b"forged")]
    world.broken = True
    answers.append(called(SAMPLES["team_join"]))

    assert [answer["statusCode"] for answer in answers] == [200, 401, 503]
    for answer in answers:
        assert "x-slack-no-retry" not in {name.lower() for name in answer["headers"]}
