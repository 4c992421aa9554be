"""Chargebee: Basic authentication in place of a signature, and the order within a second."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from desireline.receive.request import WebhookRequest
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NEXT, SECRET, World, request

ACTIVATED: dict[str, Any] = load("chargebee").named("subscription_activated")[0].body
OCCURRED = ACTIVATED["occurred_at"] * 1000


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (basic(b"desireline:" + SECRET), 200),
        (basic(b"desireline:" + SECRET).replace("Basic", "basic"), 200),
        (basic(b"desireline:" + NEXT), 200),
        (basic(b"desireline:"), 401),
        (basic(b"desireline:" + SECRET + b"x"), 401),
        (basic(b"chargebee:" + SECRET), 401),
        (basic(b"desireline:" + SECRET).replace("Basic", "Bearer"), 401),
        ("Basic", 401),
        ("Basic \u00e9", 401),
        ("", 401),
    ],
)
def test_the_password_is_one_of_the_secrets(authorization: str, status: int) -> None:
    world = World()
    world.values = world.stored = (NEXT, SECRET)
    sent = WebhookRequest("chargebee", {"authorization": authorization}, orjson.dumps(ACTIVATED))
    assert world.receive(sent).status == status
    assert all(SECRET not in record.value for record in world.durable)


def test_a_key_in_the_address_is_not_taken() -> None:
    """Addresses are logged and traced."""
    url = f"https://receive.example.com/webhooks/chargebee?key={SECRET.decode()}"
    sent = WebhookRequest("chargebee", {}, orjson.dumps(ACTIVATED), url=url)
    assert World().receive(sent).status == 401


def changed(event_id: str, version: int | None, **content: Any) -> dict[str, Any]:
    subscription = {**ACTIVATED["content"]["subscription"], "resource_version": version}
    return {**ACTIVATED, "id": event_id, "content": {"subscription": subscription, **content}}


def occurred(*events: dict[str, Any]) -> list[int]:
    world = World()
    for event in events:
        world.receive(request("chargebee", orjson.dumps(event)))
    assert not world.quarantined()
    return [event.occurred_at for event in world.events()]


def test_two_events_of_one_second_are_ordered_by_the_version_of_what_they_changed() -> None:
    assert occurred(changed("ev_2", OCCURRED + 414), changed("ev_1", OCCURRED + 87)) == [
        OCCURRED + 414,
        OCCURRED + 87,
    ]


@pytest.mark.parametrize("version", [None, OCCURRED - 1, OCCURRED + 3_600_000, 2**62, "soon"])
def test_a_version_of_another_time_says_nothing_about_the_event(version: Any) -> None:
    """A reminder does not change the subscription, and a later change comes with an older event."""
    assert occurred(changed("ev_1", version)) == [OCCURRED]


@pytest.mark.parametrize(
    ("kind", "subscription", "name"),
    [
        ("subscription_created", {"status": "in_trial"}, None),
        ("subscription_created", {"status": "active"}, "trial_to_paid_conversion"),
        ("subscription_cancelled", {"activated_at": None}, "trial_expired"),
        ("subscription_cancelled", {"activated_at": 1517505776}, "subscription_cancelled"),
        ("subscription_changed", {}, None),
    ],
)
def test_what_an_event_is_depends_on_what_it_says(
    kind: str, subscription: dict[str, Any], name: str | None
) -> None:
    world = World()
    found = {**ACTIVATED["content"]["subscription"], **subscription}
    event = {**ACTIVATED, "event_type": kind, "content": {"subscription": found}}
    world.receive(request("chargebee", orjson.dumps(event)))
    assert [event.name for event in world.events()] == ([name] if name else [])


def test_prices_of_plans_and_of_items_are_both_understood() -> None:
    old = {key: value for key, value in ACTIVATED["content"]["subscription"].items()}
    old.pop("subscription_items")
    old |= {"plan_id": "basic", "plan_amount": 900}
    world = World()
    for content in (ACTIVATED["content"], {"subscription": old}):
        world.receive(request("chargebee", orjson.dumps({**ACTIVATED, "content": content})))
    assert [event.properties for event in world.events()] == [
        {"amount": 1000, "currency": "USD", "plan": "basic-USD"},
        {"amount": 900, "currency": "USD", "plan": "basic"},
    ]
