"""Customer.io: what is signed, and one alias an event."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson
import pytest

from desireline.events import AliasType
from desireline.receive.request import WebhookRequest
from tests.worlds.receiving import NOW, SECRET, World, request


def opened(**data: Any) -> bytes:
    return orjson.dumps(
        {
            "event_id": "01E4C4C6P79C12J5A6KPE6XNFD",
            "object_type": "email",
            "metric": "opened",
            "timestamp": 1585250179,
            "data": {"delivery_id": "d1", "campaign_id": 23, **data},
        }
    )


def test_signed_is_the_version_the_time_and_the_body() -> None:
    """As its documentation computes it: by the standard library alone."""
    body, stamp = opened(identifiers={"id": "u1"}), str(NOW // 1000)
    signature = hmac.new(SECRET, f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-cio-signature": signature, "x-cio-timestamp": stamp}

    assert World().receive(WebhookRequest("customerio", headers, body)).status == 200
    assert World().receive(WebhookRequest("customerio", headers, body + b" ")).status == 401
    for missing in headers:
        rest = {name: value for name, value in headers.items() if name != missing}
        answer = World().receive(WebhookRequest("customerio", rest, body))
        assert (answer.status, answer.reason) == (401, "unsigned")


@pytest.mark.parametrize(
    ("data", "alias"),
    [
        ({"identifiers": {"id": "u1", "email": "ada@example.com"}}, (AliasType.USER, "u1")),
        ({"customer_id": "u1", "recipient": "ada@example.com"}, (AliasType.USER, "u1")),
        ({"identifiers": {"email": "ada@example.com"}}, (AliasType.EMAIL, "ada@example.com")),
        ({"recipient": "ada@example.com"}, (AliasType.EMAIL, "ada@example.com")),
    ],
)
def test_a_message_to_an_address_ties_it_to_nobody(
    data: dict[str, Any], alias: tuple[AliasType, str]
) -> None:
    world = World()
    world.receive(request("customerio", opened(**data)))
    (event,) = world.events()
    assert [(found.type, found.value) for found in event.aliases] == [alias]
    assert event.properties == {"email_id": "d1", "campaign": "23"}


def test_a_telephone_number_is_no_address() -> None:
    world = World()
    world.receive(request("customerio", opened(recipient="+15551234567")))
    world.receive(request("customerio", opened(recipient="+15551234567", customer_id="u1")))
    assert [one.reason for one in world.quarantined()] == ["no_identity"]
    assert [event.traits for event in world.events()] == [{}]
