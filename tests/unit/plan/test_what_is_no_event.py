"""What a sender says and is no event, on purpose: counted, kept with its body, not set aside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desireline.contracts import Topic
from desireline.errors import IgnoredEventError, InvalidEventError
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from tests.worlds.receiving import NOW, World, request

PLAN = TrackingPlan.model_validate(
    {
        "version": "1.0.0",
        "traits": {"person": {}, "account": {}},
        "events": {"won": {"name": "won", "category": "crm", "description": "Won."}},
        "senders": {
            "tool": {
                "sender": "tool",
                "mappings": [{"call": "stage", "as": "won", "where": "to == 'won'"}],
                "ignored": [
                    {"call": "stage", "where": "to == 'open'", "why": "on its way"},
                    {"call": "note", "event": "Own", "why": "of the team"},
                ],
            }
        },
    }
)


def found(call: str, event: str | None = None, **message: Any) -> str:
    return PLAN.find("tool", call, event, message)[1].name


def test_a_mapping_is_tried_first_and_what_neither_knows_is_set_aside() -> None:
    assert found("stage", to="won") == "won"
    with pytest.raises(IgnoredEventError, match="on its way"):
        found("stage", to="open")
    for call, event, message in (("stage", None, {"to": "lost"}), ("note", "Other", {})):
        with pytest.raises(InvalidEventError) as error:
            found(call, event, **message)
        assert (error.type, error.value.reason) == (InvalidEventError, "unmapped")


def test_it_is_counted_and_answered_and_its_body_is_kept() -> None:
    """Given a deal that is created and then associated with a contact, in one body."""
    told = {"portalId": 1, "occurredAt": NOW - 5_000, "attemptNumber": 0}
    body = json.dumps(
        [
            {**told, "subscriptionType": "deal.creation", "objectId": 9},
            {
                **told,
                "subscriptionType": "deal.associationChange",
                "associationType": "DEAL_TO_CONTACT",
                "fromObjectId": 9,
                "toObjectId": 123,
            },
        ]
    ).encode()
    world = World()

    answer = world.receive(request("hubspot", body))

    assert (answer.accepted, answer.ignored, answer.quarantined) == (1, 1, 0)
    assert [event.name for event in world.events()] == ["deal_created"]
    assert not world.quarantined()
    assert len(world.of(Topic.WEBHOOKS_RAW)) == 1
    assert world.counts["events_ignored:"] == 1


def test_every_reason_is_told_in_the_rendered_plan() -> None:
    from docs.render.tracking_plan import tracking_plan_page

    page = tracking_plan_page()
    reasons = [one.why for words in load_plan().senders.values() for one in words.ignored]
    assert reasons
    for why in reasons:
        assert why in page
