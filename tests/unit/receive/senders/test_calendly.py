"""Calendly: what is signed, what makes an event one, and what invitees may not decide."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson
import pytest

from desireline.events import AliasType
from desireline.receive.request import WebhookRequest
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NOW, SECRET, World, request

CREATED: dict[str, Any] = load("calendly").named("invitee_created")[0].body


def received(event: dict[str, Any]) -> World:
    world = World()
    assert world.receive(request("calendly", orjson.dumps(event))).status == 200
    return world


def test_signed_is_the_time_and_the_body() -> None:
    """As its documentation computes it: by the standard library alone."""
    body, stamp = orjson.dumps(CREATED), str(NOW // 1000)
    good = hmac.new(SECRET, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()

    for header, status in [
        (f"t={stamp},v1={good}", 200),
        (f"v1={good},t={stamp}", 200),
        (f"t={stamp},v1={'0' * 64},v1={good}", 200),
        (f"t={stamp},v1={good.replace('a', 'b')}", 401),
        (f"t={stamp},v0={good}", 401),
        (f"t={stamp}", 401),
        (f"v1={good}", 401),
        (f"t=,v1={good}", 401),
        ("", 401),
    ]:
        sent = WebhookRequest("calendly", {"calendly-webhook-signature": header}, body)
        assert World().receive(sent).status == status, header


def test_an_event_is_what_happened_to_which_invitee_when() -> None:
    (one,) = received(CREATED).events()
    (again,) = received({**CREATED, "created_by": "somebody else"}).events()
    (later,) = received({**CREATED, "created_at": "2020-11-23T17:51:20.000000Z"}).events()
    (other,) = received(
        {**CREATED, "payload": {**CREATED["payload"], "uri": "https://another"}}
    ).events()

    assert one.event_id == again.event_id
    assert len({one.event_id, later.event_id, other.event_id}) == 3


def test_a_booking_names_its_meeting() -> None:
    (event,) = received(CREATED).events()
    assert (event.name, event.timed) == ("meeting_booked", True)
    assert event.properties == {
        "meeting_type": "15 Minute Meeting",
        "duration": 900.0,
        "rescheduled": False,
    }


def test_who_moves_a_meeting_cancels_one_and_books_one() -> None:
    """Calendly reports both; each says that it is part of a move."""
    old = received({**CREATED, "event": "invitee.canceled", "payload": {
        **CREATED["payload"], "rescheduled": True, "new_invitee": "https://b"}})  # fmt: skip
    new = received(
        {**CREATED, "payload": {**CREATED["payload"], "old_invitee": "https://a", "uri": "b"}}
    )
    assert [(e.name, e.properties["rescheduled"]) for e in old.events() + new.events()] == [
        ("meeting_cancelled", True),
        ("meeting_booked", True),
    ]


@pytest.mark.parametrize("field", ["utm_content", "salesforce_uuid"])
def test_an_address_that_somebody_typed_is_tied_to_nobody(field: str) -> None:
    """Tracking parameters stand in the address bar: whoever books decides them."""
    tracking = {**CREATED["payload"]["tracking"], field: "user-of-somebody-else"}
    payload = {**CREATED["payload"], "tracking": tracking}
    (event,) = received({**CREATED, "payload": payload}).events()
    assert [(a.type, a.value) for a in event.aliases] == [(AliasType.EMAIL, "john.doe@example.com")]
