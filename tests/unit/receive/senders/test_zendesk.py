"""Zendesk: what it signs, which notification is one, and whose it is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from desireline.contracts import Topic
from desireline.events import AccountRole, CanonicalEvent
from desireline.receive.mapping.times import iso
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.zendesk import signature
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NOW, SECRET, World, request

# What Zendesk signs test requests with, for everybody.
TEST_SECRET = b"dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
INVOCATION = "x-zendesk-webhook-invocation-id"


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": f"zen:event-type:{kind}",
        "account_id": 1,
        "id": "e-1",
        "time": iso(NOW - 5_000),
        "detail": {"id": "35436", "requester_id": "8447", "organization_id": "77"},
        "event": {},
        **fields,
    }


def trigger(name: str = "ticket_solved", **ticket: Any) -> dict[str, Any]:
    return {
        "event": name,
        "ticket": {"id": "35436", "updated_at": iso(NOW - 5_000), **ticket},
        "requester": {"id": "8447", "external_id": "ada", "email": "ada@example.com"},
        "organization": {"id": "77", "external_id": "acme"},
    }


def received(payload: dict[str, Any], invocation: str = "i-1") -> CanonicalEvent:
    world = World()
    sent = request("zendesk", json.dumps(payload).encode(), **{INVOCATION: invocation})
    assert world.receive(sent).status == 200
    (found,) = world.events()
    return found


def test_a_published_signature_is_ours() -> None:
    """Of webhookx's tests, with the secret that Zendesk publishes for tests."""
    body = b'{"event_type": "foo.bar","data": {"key": "value"}}'
    expected = "qtmu3iClLKujnujOBkwe7yjI34o5CzsLD04Uy4LbE2A="
    assert signature(TEST_SECRET, "1531420618", body) == expected


def test_the_secret_is_used_as_it_stands_though_it_looks_like_base64() -> None:
    body = json.dumps(event("ticket.created")).encode()
    world = World()
    world.values = world.stored = (TEST_SECRET,)
    decoded = base64.b64decode(TEST_SECRET)

    assert world.receive(request("zendesk", body, secret=TEST_SECRET)).status == 200
    assert world.receive(request("zendesk", body, secret=decoded)).reason == "forged"


def test_each_webhook_of_zendesk_has_a_secret_of_its_own() -> None:
    body = json.dumps(event("ticket.created")).encode()
    world = World()
    world.values = world.stored = (b"of-events\nof-triggers\n",)

    for secret, taken in ((b"of-events", True), (b"of-triggers", True), (b"of", False)):
        answer = world.receive(request("zendesk", body, secret=secret))
        assert (answer.status == 200) is taken


def test_a_request_signed_with_the_secret_that_everybody_knows_is_refused() -> None:
    answer = World().receive(request("zendesk", b"{}", secret=TEST_SECRET))
    assert (answer.status, answer.reason) == (401, "forged")


def test_the_time_is_signed_and_has_to_be_one() -> None:
    body = json.dumps(event("ticket.created")).encode()
    sent = request("zendesk", body)
    later = {**sent.headers, "x-zendesk-webhook-signature-timestamp": iso(NOW + 1_000)}
    number = {
        "x-zendesk-webhook-signature": signature(SECRET, "1531420618", body),
        "x-zendesk-webhook-signature-timestamp": "1531420618",
    }

    assert World().receive(WebhookRequest("zendesk", later, body)).reason == "forged"
    answer = World().receive(WebhookRequest("zendesk", number, body))
    assert (answer.status, answer.reason) == (400, "malformed")


def test_an_event_is_one_by_its_id_and_a_triggers_by_its_invocation() -> None:
    created = event("ticket.created")
    assert received(created, "i-1").event_id == received(created, "i-2").event_id
    assert received(trigger(), "i-1").event_id == received(trigger(), "i-1").event_id
    assert received(trigger(), "i-1").event_id != received(trigger(), "i-2").event_id


def test_the_invocation_is_kept_so_that_a_replay_maps_to_the_same_id() -> None:
    world = World()
    world.receive(request("zendesk", json.dumps(trigger()).encode(), **{INVOCATION: "i-1"}))
    (raw,) = world.of(Topic.WEBHOOKS_RAW)
    assert b'"x-zendesk-webhook-invocation-id":"i-1"' in raw.value


@pytest.mark.parametrize(
    ("previous", "current", "name"),
    [
        ("OPEN", "SOLVED", "ticket_solved"),
        ("SOLVED", "OPEN", "ticket_reopened"),
        ("solved", "pending", "ticket_reopened"),
        ("NEW", "OPEN", "ticket_status_changed"),
        ("SOLVED", "CLOSED", "ticket_status_changed"),
    ],
)
def test_a_status_says_what_became_of_a_ticket(previous: str, current: str, name: str) -> None:
    change = {"previous": previous, "current": current}
    found = received(event("ticket.status_changed", event=change))
    assert (found.name, found.occurred_at) == (name, NOW - 5_000)
    assert found.properties["ticket_id"] == "35436"


@pytest.mark.parametrize(
    ("rating", "verdict"), [("Good, I'm satisfied", "good"), ("Bad", "bad"), ("", None)]
)
def test_a_rating_is_good_or_bad(rating: str, verdict: str | None) -> None:
    found = received(trigger("csat_submitted", rating=rating))
    assert (found.name, found.properties.get("verdict")) == ("csat_submitted", verdict)


def test_a_trigger_tells_who_and_whose_and_the_address_is_a_trait() -> None:
    found = received(trigger())
    assert [f"{alias.type}:{alias.value}" for alias in found.aliases] == [
        "user:ada",
        "crm:zendesk:8447",
    ]
    assert [account.key for account in found.accounts] == ["group:acme", "crm:zendesk:77"]
    assert {account.role for account in found.accounts} == {AccountRole.MENTION}
    assert found.traits == {"email": "ada@example.com"}


def test_a_name_cannot_make_a_template_say_who_somebody_else_is() -> None:
    """Given a template with the requester's name in it, and a requester who calls himself so."""
    name = 'x"}, "requester": {"id": "1", "external_id": "victim"}, "organization": {"id": "'
    body = (
        '{"event": "ticket_solved", "ticket": {"id": "7"}, "requester": {"id": "8447", "name": "'
        + name
        + '", "external_id": ""}, "organization": {"id": "77"}}'
    )
    assert json.loads(body)["requester"]["external_id"] == "victim"
    world = World()

    answer = world.receive(request("zendesk", body.encode()))

    assert (answer.status, answer.accepted, answer.quarantined) == (200, 0, 1)
    assert not world.events()


def test_nobody_is_no_alias_and_no_account() -> None:
    detail = {"id": "35436", "requester_id": "8447", "organization_id": "0"}
    assert received(event("ticket.created", detail=detail)).accounts == ()
    world = World()
    nobody = event("ticket.created", detail={"id": "1", "requester_id": 0})
    world.receive(request("zendesk", json.dumps(nobody).encode()))
    assert [one.reason for one in world.quarantined()] == ["no_identity"]


def test_a_template_that_a_quote_broke_is_kept_and_zendesk_is_not_told_to_stop() -> None:
    world = World()
    (sample,) = load("zendesk").named("trigger_with_a_broken_template")

    answer = world.receive(sample.signed("zendesk", SECRET, NOW))

    assert (answer.status, answer.quarantined) == (200, 1)
    (raw,), (found,) = world.of(Topic.WEBHOOKS_RAW), world.quarantined()
    assert found.raw is not None
    assert found.raw.id.encode() in raw.value
    assert found.reason == "malformed"
