"""Every sample as API Gateway hands it over, and what its sender reads off the answer."""

from __future__ import annotations

import base64
import json
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import pytest

from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES
from desireline_local.sender_side.samples import CALLED, Sample, load
from receive_webhook import handler
from tests.functional.lambda_side import Context
from tests.worlds.receiving import NOW, SECRET, World

SAMPLES = [(name, sample) for name in sorted(NAMES) for sample in load(name).samples]
EACH_SAMPLE = pytest.mark.parametrize(
    ("name", "sample"), SAMPLES, ids=[f"{name}-{sample.name}" for name, sample in SAMPLES]
)


def handed(sent: WebhookRequest, *, encoded: bool) -> dict[str, Any]:
    """HTTP API, payload version 2.0: names of headers in lower case, the path decoded, the query
    as it was sent."""
    url = urlsplit(sent.url or f"{CALLED}{sent.source}")
    path = unquote(url.path)
    call = path.removeprefix("/v1/") if path.startswith("/v1/") else sent.call
    body = base64.b64encode(sent.body) if encoded else sent.body
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": url.query,
        "pathParameters": {"call": call} if call else {"source": sent.source},
        "headers": dict(sent.headers),
        "requestContext": {"http": {"method": sent.method}, "domainName": url.netloc},
        "body": body.decode(),
        "isBase64Encoded": encoded,
    }


def answered(sent: WebhookRequest, *, encoded: bool = False) -> tuple[int, dict[str, Any]]:
    answer = handler.handle(handed(sent, encoded=encoded), cast(Any, Context()))
    return answer["statusCode"], json.loads(answer["body"])


@EACH_SAMPLE
@pytest.mark.parametrize("encoded", [False, True])
def test_a_sample_is_taken_as_text_and_as_base64(
    world: World, name: str, sample: Sample, encoded: bool
) -> None:
    status, _ = answered(sample.signed(name, SECRET, NOW), encoded=encoded)
    assert status == 200
    assert len(world.events()) == sample.expects.accepted


def test_intercom_asks_with_head_before_it_saves_an_address(world: World) -> None:
    status, _ = answered(WebhookRequest("intercom", {}, b"", method="HEAD"))
    assert status == 200
    assert not (world.durable or world.pending)


def test_hubspot_signs_the_address_that_it_called_and_no_other(world: World) -> None:
    (sample,) = load("hubspot").named("single_creation")
    sent = sample.signed("hubspot", SECRET, NOW)
    event = handed(sent, encoded=False)
    event["requestContext"]["domainName"] = "another.example.com"

    answer = handler.handle(event, cast(Any, Context()))

    assert (answer["statusCode"], json.loads(answer["body"])["reason"]) == (429, "forged")
    assert answered(sent)[0] == 200


def test_mixpanel_reads_its_action_and_how_it_went(world: World) -> None:
    (sample,) = load("mixpanel").named("add_members")
    status, told = answered(sample.signed("mixpanel", SECRET, NOW))
    assert (status, told) == (200, {"action": "add_members", "status": "success"})

    status, told = answered(sample.signed("mixpanel", b"wrong", NOW))
    assert (status, told["action"], told["status"]) == (429, "add_members", "failure")
    assert told["error"]["message"].startswith("forged")
