"""Intercom: what it signs, which notification is one, and whose it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desireline.events import AccountRole, CanonicalEvent
from desireline.receive.senders.intercom import signature
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NOW, SECRET, World, request

MADE_UP = "f7c0bc1e-5ee2-46a0-b11a-ea473d1101a5"


def notification(topic: str, item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "type": "notification_event",
        "id": "notif_1",
        "topic": topic,
        "created_at": NOW // 1000 - 5,
        "delivery_attempts": 1,
        "data": {"type": "notification_event_data", "item": item},
        **fields,
    }


def received(payload: dict[str, Any]) -> CanonicalEvent:
    world = World()
    assert world.receive(request("intercom", json.dumps(payload).encode())).status == 200
    (event,) = world.events()
    return event


def aliases(person: dict[str, Any]) -> list[str]:
    event = received(notification("conversation.user.created", {"type": "conversation", **person}))
    return [f"{alias.type}:{alias.value}" for alias in event.aliases]


def test_the_signature_is_the_hmac_sha1_of_rfc_2202() -> None:
    """Intercom publishes a signature without the secret; the scheme is the RFC's."""
    assert signature(b"Jefe", b"what do ya want for nothing?") == (
        "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    )


def test_a_sha256_of_the_same_secret_is_none() -> None:
    sent = request("intercom", b"{}", **{"x-hub-signature": "sha256=" + "0" * 64})
    assert World().receive(sent).reason == "forged"


def test_a_second_delivery_is_the_same_event() -> None:
    (sample,) = load("intercom").named("user_created")
    again = sample.body | {
        "delivery_attempts": 2,
        "delivered_at": 1392731400,
        "delivery_status": "retry",
    }
    assert received(sample.body).event_id == received(again).event_id


def test_a_ping_is_taken_and_is_no_event() -> None:
    world = World()
    (sample,) = load("intercom").named("ping")

    answer = world.receive(sample.signed("intercom", SECRET, NOW))

    assert (answer.status, answer.accepted, answer.quarantined) == (200, 0, 0)


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"user": {"type": "user", "id": "i1", "user_id": MADE_UP}}, [f"user:{MADE_UP}"]),
        ({"user": {"type": "lead", "id": "i1", "user_id": MADE_UP}}, []),
        ({"user": {"type": "lead", "id": "i1", "user_id": "25"}}, []),
        ({"contacts": {"contacts": [{"type": "contact", "id": "i1", "external_id": "25"}]}},
         ["user:25"]),
        ({"contacts": {"contacts": [{"type": "contact", "id": "i1", "external_id": MADE_UP}]}}, []),
        ({"contact": {"type": "contact", "role": "user", "id": "i1", "external_id": MADE_UP}},
         [f"user:{MADE_UP}"]),
        ({"source": {"author": {"type": "lead", "id": "i1"}}}, []),
    ],
)  # fmt: skip
def test_only_a_users_id_is_a_user_id(person: dict[str, Any], expected: list[str]) -> None:
    """A lead's is made up, and becomes another when the lead signs up: as a user's, it would keep
    the two apart for good."""
    assert aliases(person) == [*expected, "crm:intercom:i1"]


def test_an_address_that_somebody_typed_is_a_trait() -> None:
    event = received(
        notification(
            "contact.lead.created",
            {"type": "contact", "role": "lead", "id": "i1", "email": "ceo@example.com"},
        )
    )
    assert [alias.value for alias in event.aliases] == ["intercom:i1"]
    assert event.traits == {"email": "ceo@example.com"}


def test_a_company_is_the_products_account_unless_it_was_made_up_for_a_lead() -> None:
    contact = {"type": "contact", "role": "user", "id": "i1", "external_id": "25"}

    def joined(company_id: str) -> list[tuple[str, AccountRole]]:
        company = {"type": "company", "id": "c1", "company_id": company_id}
        item = {"company": company, "contact": contact}
        event = received(notification("company.contact.attached", item))
        return [(account.key, account.role) for account in event.accounts]

    assert joined("acme") == [
        ("group:acme", AccountRole.MEMBER),
        ("crm:intercom:c1", AccountRole.MEMBER),
    ]
    assert joined("c2-qualification-company") == [("crm:intercom:c1", AccountRole.MEMBER)]


@pytest.mark.parametrize(
    ("topic", "extra", "name", "properties"),
    [
        ("conversation.user.replied", {}, "conversation_replied", {"author": "user"}),
        ("conversation.admin.replied", {}, "conversation_replied", {"author": "admin"}),
        ("conversation.operator.replied", {}, "conversation_replied", {"author": "bot"}),
        ("conversation.admin.closed", {}, "conversation_closed", {}),
        ("conversation.rating.added", {"conversation_rating": {"rating": 1}},
         "csat_submitted", {"rating": 1}),
    ],
)  # fmt: skip
def test_a_topic_is_the_event_that_it_says(
    topic: str, extra: dict[str, Any], name: str, properties: dict[str, Any]
) -> None:
    item = {"type": "conversation", "id": "7", "user": {"type": "user", "id": "i1"}, **extra}
    event = received(notification(topic, item))
    assert (event.name, event.timed, event.occurred_at) == (name, True, NOW - 5_000)
    assert event.properties == {"conversation_id": "7", **properties}


@pytest.mark.parametrize(
    ("state", "previous", "name"),
    [
        ({"category": "resolved"}, "submitted", "ticket_solved"),
        ("resolved", "submitted", "ticket_solved"),
        ({"category": "in_progress"}, "resolved", "ticket_reopened"),
        ({"category": "in_progress"}, "submitted", "ticket_status_changed"),
    ],
)
def test_a_tickets_state_says_what_became_of_it(state: Any, previous: str, name: str) -> None:
    item = {
        "type": "ticket",
        "ticket_id": "66",
        "ticket_state": state,
        "user": {"type": "user", "id": "i1"},
        "ticket_parts": {"ticket_parts": [{"previous_ticket_state": previous}]},
    }
    assert received(notification("ticket.state.updated", item)).name == name
