"""Paddle: the vector of its library, how old a signature may be, and the order of events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from desireline.errors import RefusedError
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.paddle import SENDER, SIGNATURE
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NOW, SECRET, World, request

AT = 1696195954
GOOD = "d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
SECRETS = (
    b"pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_TjIG2BXbm83HPXqNfziwe506sBEdqL/4",
    b"pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_vB/yIOnTOCWIvpBadM5jzBZPHc7OmdSo",
    b"pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
)
DAY = 24 * 3_600_000
ACTIVATED: dict[str, Any] = load("paddle").named("subscription_activated")[0].body


def verify(header: str, *, body: bytes = b"hello-world", now: int = AT * 1000) -> None:
    SENDER.verify(WebhookRequest("paddle", {SIGNATURE: header}, body), body, SECRETS, now)


def test_the_published_vector_holds_with_the_right_secret_among_three() -> None:
    verify(f"ts={AT};h1=dummy;h1={GOOD}")
    verify(f"ts={AT};h1={GOOD}")


@pytest.mark.parametrize(
    "header",
    [
        f"ts={AT + 1};h1={GOOD}",
        f"ts={AT},h1={GOOD}",
        f"ts={AT};h1=dummy",
        f"ts={AT};h2={GOOD}",
        f"ts={AT}",
        f"h1={GOOD}",
        "ts=;h1=",
        ";;;",
    ],
)
def test_what_is_not_signed_is_refused(header: str) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(header)
    assert refused.value.status == 401


def test_a_repeat_signed_with_the_first_attempts_time_is_taken_for_three_days() -> None:
    """Five seconds, as in its library, would turn away what comes after a cold start; and what is
    turned away for three days is lost."""
    for age in (6_000, 600_000, 3 * DAY):
        verify(f"ts={AT};h1={GOOD}", now=AT * 1000 + age)
    for off in (3 * DAY + 1000, -301_000):
        with pytest.raises(RefusedError, match="stale"):
            verify(f"ts={AT};h1={GOOD}", now=AT * 1000 + off)


def test_a_captured_request_gives_the_same_event_again() -> None:
    """What makes the three days harmless: deduplication remembers eight."""
    world = World()
    for age in (0, DAY, 2 * DAY):
        assert world.receive(request("paddle", orjson.dumps(ACTIVATED), at=NOW - age)).status == 200
    sent_again = {**ACTIVATED, "notification_id": "ntf_another"}
    world.receive(request("paddle", orjson.dumps(sent_again)))
    assert len({event.event_id for event in world.events()}) == 1


def test_events_are_ordered_by_when_they_occurred() -> None:
    """Given two in the order of arrival, their own times tell which was first."""
    world = World()
    later = {**ACTIVATED, "event_id": "evt_b", "occurred_at": "2024-04-12T10:18:49.023000Z"}
    for event in (later, ACTIVATED):
        world.receive(request("paddle", orjson.dumps(event)))
    arrived = [event.occurred_at for event in world.events()]
    assert arrived[0] - arrived[1] == 1


@pytest.mark.parametrize(
    ("kind", "changes", "name"),
    [
        ("subscription.canceled", {"first_billed_at": None}, "trial_expired"),
        ("subscription.canceled", {}, "subscription_cancelled"),
        ("adjustment.created", {"action": "refund", "status": "pending_approval"}, None),
        ("adjustment.created", {"action": "credit", "status": "approved"}, None),
        ("adjustment.updated", {"action": "refund", "status": "approved"}, "refund_issued"),
        ("transaction.completed", {"details": {"totals": {"grand_total": "0"}}}, None),
        ("transaction.completed", {"details": {"totals": {"grand_total": "1"}}}, "invoice_paid"),
        ("transaction.paid", {"origin": "web"}, None),
        ("transaction.paid", {"origin": "subscription_recurring"}, "subscription_renewed"),
        ("transaction.ready", {"origin": "subscription_recurring"}, None),
    ],
)
def test_what_an_event_is_depends_on_what_it_says(
    kind: str, changes: dict[str, Any], name: str | None
) -> None:
    world = World()
    data = {**ACTIVATED["data"], **changes}
    world.receive(request("paddle", orjson.dumps({**ACTIVATED, "event_type": kind, "data": data})))
    assert [event.name for event in world.events()] == ([name] if name else [])


def test_amounts_come_as_texts_and_leave_as_numbers() -> None:
    world = World()
    world.receive(load("paddle").named("transaction_completed")[0].signed("paddle", SECRET, NOW))
    (event,) = world.events()
    assert event.properties["amount"] == 65215
    assert event.measures == {"invoice_paid.amount": 65215}
