"""Slack: the vector of its documentation, the challenge, and the buttons of alerts."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest

from desireline.contracts import Topic
from desireline.errors import RefusedError
from desireline.events import AliasType
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.slack import SENDER, SIGNATURE, TIMESTAMP
from desireline_local.sender_side.samples import load
from tests.worlds.receiving import NOW, SECRET, World, request

VECTOR_SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
VECTOR_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmib"
    b"IGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
VECTOR = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
AT = 1531420618
ACTION = {"action_id": "alert_answered:taken", "value": '{"id":"a1","who":"user:ada"}'}
CLICK = b"payload=" + quote('{"type":"block_actions"}').encode()


def verify(
    body: bytes = VECTOR_BODY, given: str = VECTOR, stamp: str = str(AT), now: int = AT
) -> None:
    sent = WebhookRequest("slack", {SIGNATURE: given, TIMESTAMP: stamp}, body)
    SENDER.verify(sent, body, (b"another", VECTOR_SECRET), now * 1000)


def sample(name: str) -> World:
    world = World()
    world.answer = world.receive(load("slack").named(name)[0].signed("slack", SECRET, NOW))
    return world


def click(**fields: Any) -> World:
    payload = {"type": "block_actions", "actions": [{**ACTION, "action_ts": "1548426417.8"}]}
    world = World()
    body = urlencode({"payload": orjson.dumps({**payload, **fields}).decode()}).encode()
    world.receive(request("slack", body))
    return world


def test_the_published_vector_holds() -> None:
    verify()


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": VECTOR_BODY + b"------"},
        {"given": VECTOR.replace("v0=", "v1=")},
        {"given": VECTOR[3:]},
        {"stamp": str(AT + 1)},
        {"stamp": "soon"},
        {"stamp": "\u0663"},
        {"stamp": "\u00b2"},
        {"stamp": "9" * 40},
    ],
)
def test_what_is_not_signed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(**wrong)
    assert refused.value.status == 401


@pytest.mark.parametrize("seconds", [-301, 301])
def test_five_minutes_both_ways(seconds: int) -> None:
    verify(now=AT + 300)
    verify(now=AT - 300)
    with pytest.raises(RefusedError, match="stale"):
        verify(now=AT + seconds)


def test_a_challenge_is_sent_back_and_is_no_event() -> None:
    world = sample("url_verification")
    challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"

    assert world.answer.reply == {"challenge": challenge}
    assert not world.events()
    assert not world.quarantined()


def test_a_challenge_that_is_not_signed_is_not_sent_back() -> None:
    body = b'{"type":"url_verification","challenge":"x"}'
    answer = World().receive(request("slack", body, b"of somebody else"))
    assert (answer.status, answer.reply) == (401, None)


def test_a_button_tells_who_answered_which_alert_how() -> None:
    (event,) = sample("button_of_an_alert").events()

    assert event.name == "alert_answered"
    assert event.properties == {
        "alert": "7f3c2d",
        "answer": "taken",
        "answered_by": "U123ABC456",
        "channel": "C123ABC456",
    }
    assert [(a.type, a.value) for a in event.aliases] == [(AliasType.USER, "ada")]
    assert event.account_key == "group:acme"
    assert event.occurred_at == 1548426417840


def test_a_click_is_answered_with_an_empty_body() -> None:
    """Slack would take another for a message to show."""
    assert sample("button_of_an_alert").answer.reply == {}
    assert sample("another_button_outside_the_plan").answer.reply == {}
    assert sample("message_in_a_shared_channel").answer.reply is None


def test_two_clicks_are_two_events_and_one_sent_again_is_one() -> None:
    (one,), (again,) = click().events(), click(trigger_id="other").events()
    (other,) = click(user={"id": "U2"}).events()
    (later,) = click(actions=[{**ACTION, "action_ts": "1548426418.1"}]).events()
    assert one.event_id == again.event_id
    assert len({one.event_id, other.event_id, later.event_id}) == 3


@pytest.mark.parametrize(
    "value",
    ["", "no JSON", "[]", "null", '{"who":7}', '{"id":"a1"}', '{"id":"a1","who":"planet:mars"}'],
)
def test_a_button_that_tells_nobody_is_set_aside(value: str) -> None:
    action = {"action_id": "alert_answered:taken", "value": value}
    world = click(actions=[action])
    assert not world.events()
    assert len(world.quarantined()) == 1


def test_what_our_own_side_writes_is_no_touchpoint() -> None:
    world = World()
    event = {"type": "message", "user": "U1", "team": "T1", "user_team": "T1", "ts": "1355517523.1"}
    payload = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": event}
    answer = world.receive(request("slack", orjson.dumps(payload)))
    assert (answer.accepted, answer.quarantined, answer.ignored) == (0, 0, 1)


def test_a_members_messages_belong_to_the_address_that_slack_has_confirmed() -> None:
    world = World()
    user = {"id": "U1", "team_id": "T1", "profile": {"email": "ada@example.com"}}
    for number, event in enumerate(
        (
            {"type": "user_change", "user": user},
            {"type": "message", "user": "U1", "user_team": "T1", "ts": "1355517523.1"},
        )
    ):
        payload = {"type": "event_callback", "event_id": f"Ev{number}", "team_id": "T0"}
        world.receive(request("slack", orjson.dumps({**payload, "event": event})))
    told, wrote = world.events()

    assert [a.type for a in told.aliases] == [AliasType.EMAIL, AliasType.ANONYMOUS]
    assert told.aliases[1].fragment == wrote.aliases[0].fragment


@pytest.mark.parametrize(
    "body",
    [b"payload=", b"payload=%7B", b"payload=%FF%FE", b"payload=\xff", CLICK + b"&a=1" * 20],
)
def test_a_form_that_is_none_is_set_aside(body: bytes) -> None:
    """Slack counts refusals until it sends no more."""
    world = World()
    assert world.receive(request("slack", body)).status == 200
    assert [one.reason for one in world.quarantined()] == ["malformed"]
    assert len(world.of(Topic.WEBHOOKS_RAW)) == 1
