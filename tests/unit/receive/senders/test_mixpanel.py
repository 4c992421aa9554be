"""Mixpanel's cohorts: what it is answered, so that it never pauses, and who enters and leaves."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from desireline.contracts import Topic
from desireline.events import AliasType, RawWebhook
from desireline.receive.mapping.event_mapper import reports_of
from desireline.receive.request import Answer, WebhookRequest
from desireline.receive.senders.mixpanel import SENDER
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NEXT, NOW, SECRET, World, request

ACTIONS = ("members", "add_members", "remove_members")


def page(action: str = "add_members", *members: dict[str, Any], **parameters: Any) -> bytes:
    return json.dumps(
        {
            "action": action,
            "parameters": {
                "mixpanel_cohort_name": "Near their limit",
                "mixpanel_cohort_id": 1478097,
                "mixpanel_session_id": "s1",
                "page_info": {"total_pages": 1, "page_count": 1},
                **parameters,
                "members": list(members) or [{"mixpanel_distinct_id": "ada"}],
            },
        }
    ).encode()


def told(answer: Answer) -> Mapping[str, Any]:
    assert answer.reply is not None
    return answer.reply


def ids(body: bytes) -> set[str]:
    world = World()
    world.receive(request("mixpanel", body))
    return {event.event_id for event in world.events()}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_answer_repeats_the_action(action: str) -> None:
    answer = World().receive(request("mixpanel", page(action)))
    assert told(answer) == {"action": action, "status": "success"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "unsigned"),
        ({"authorization": "Bearer abc"}, "unsigned"),
        ({"authorization": "Basic " + base64.b64encode(b"desireline:wrong").decode()}, "forged"),
        ({"authorization": "Basic " + base64.b64encode(b"mixpanel:" + SECRET).decode()}, "forged"),
        ({"authorization": "Basic no base64"}, "forged"),
        ({"authorization": "Basic \u00e9"}, "forged"),
    ],
)
def test_wrong_credentials_are_refused_by_what_does_not_pause_a_cohort(
    headers: dict[str, str], reason: str
) -> None:
    world = World()

    answer = world.receive(WebhookRequest("mixpanel", headers, page()))

    assert (answer.status, answer.reason) == (429, reason)
    assert told(answer)["action"] == "add_members"
    assert told(answer)["status"] == "failure"
    assert told(answer)["error"]["code"] == 429
    assert reason in told(answer)["error"]["message"]
    assert not (world.durable or world.pending)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 503])
def test_nothing_that_is_answered_pauses_a_cohort(status: int) -> None:
    answer = SENDER.adapt_answer(Answer(status, "why"), WebhookRequest("mixpanel", {}, b""))
    assert answer.status not in SENDER.gives_up_on
    assert answer.status >= 400


def test_without_kafka_it_is_told_so_and_tries_again() -> None:
    world = World()
    world.broken = True

    answer = world.receive(request("mixpanel", page()))

    assert (answer.status, told(answer)["status"]) == (503, "failure")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_an_encoding_that_is_none_pauses_nothing(encoding: str) -> None:
    sent = request("mixpanel", page(), **{"content-encoding": encoding})
    assert World().receive(sent).status not in SENDER.gives_up_on


def test_a_repeated_page_has_the_same_ids_in_any_order_of_members() -> None:
    one, other = {"mixpanel_distinct_id": "ada"}, {"mixpanel_distinct_id": "grace"}
    assert ids(page("members", one, other)) == ids(page("members", other, one))


@pytest.mark.parametrize(
    "other",
    [
        page("remove_members"),
        page(mixpanel_session_id="s2"),
        page(page_info={"total_pages": 2, "page_count": 2}),
        page("add_members", {"mixpanel_distinct_id": "grace"}),
    ],
)
def test_action_session_page_and_member_make_another_event(other: bytes) -> None:
    assert not ids(page()) & ids(other)


@pytest.mark.parametrize(
    ("action", "name", "sync"),
    [
        ("members", "cohort_entered", "full"),
        ("add_members", "cohort_entered", "change"),
        ("remove_members", "cohort_left", "change"),
    ],
)
def test_who_came_and_went(action: str, name: str, sync: str) -> None:
    world = World()
    world.receive(request("mixpanel", page(action)))
    (event,) = world.events()
    assert event.name == name
    assert event.properties == {
        "cohort": "Near their limit",
        "cohort_id": "1478097",
        "sync": sync,
    }
    assert (event.timed, event.occurred_at) == (False, NOW)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"mixpanel_distinct_id": "ada"}, [(AliasType.USER, "ada")]),
        ({"mixpanel_distinct_id": "$device:d1"}, [(AliasType.ANONYMOUS, "d1")]),
        (
            {"mixpanel_distinct_id": "$device:d1", "$user_id": "ada"},
            [(AliasType.USER, "ada"), (AliasType.ANONYMOUS, "d1")],
        ),
    ],
)
def test_a_distinct_id_is_a_users_or_a_devices(
    member: dict[str, Any], expected: list[tuple[AliasType, str]]
) -> None:
    world = World()
    world.receive(request("mixpanel", page("add_members", {**member, "email": "a@example.com"})))
    (event,) = world.events()
    assert [(alias.type, alias.value) for alias in event.aliases] == expected
    assert event.traits == {"email": "a@example.com"}


def test_the_password_of_yesterday_is_taken_while_it_rotates() -> None:
    world = World()
    world.values = world.stored = (NEXT, SECRET)
    (sample,) = load("mixpanel").named("add_members")
    for secret in (NEXT, SECRET):
        assert world.receive(sample.signed("mixpanel", secret, NOW)).status == 200


def test_a_page_is_kept_without_a_suppressed_member_and_the_others_keep_their_places() -> None:
    body = page("members", {"mixpanel_distinct_id": "ada"}, {"mixpanel_distinct_id": "grace"})
    world, all_of_it = World(), World()
    gone = world.fragments.alias(AliasType.USER, "ada")
    assert gone is not None
    world.suppressed = frozenset({gone.fragment})

    answer = world.receive(request("mixpanel", body))
    all_of_it.receive(request("mixpanel", body))

    (raw,) = (RawWebhook.decode(one.value) for one in world.of(Topic.WEBHOOKS_RAW))
    (event,) = world.events()
    assert (answer.accepted, answer.withheld) == (1, 1)
    assert b"ada" not in base64.b64decode(raw.body)
    assert event == all_of_it.events()[1]
    again = reports_of(SENDER, raw)
    assert [one.id for one in again][1] == "s1|1|members|grace"
