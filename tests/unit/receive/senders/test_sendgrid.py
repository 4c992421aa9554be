"""SendGrid: the vectors of its library, a body to its last byte, an event however often."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest

from desireline.errors import RefusedError
from desireline.events import AliasType
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sendgrid import SENDER, SIGNATURE, TIMESTAMP
from tests.worlds.receiving import NOW, World, request

KEY = (
    b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    b"2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
ANOTHER_KEY = (
    b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo"
    b"7aNDthvj+y7GjUuFDb/R1NGe1OPzpA=="
)
GIVEN = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtE"
    "ZtM="
)
AT = 1600112502
DROPPED: dict[str, Any] = {
    "email": "hello@world.com",
    "event": "dropped",
    "reason": "Bounced Address",
    "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
    "sg_message_id": ("LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0"),
    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
    "timestamp": 1600112492,
}
EVENT = {**DROPPED, "email": "ada@example.com"}
"""That of the vector goes to a mailbox that several people read."""
BODY = json.dumps([DROPPED], separators=(",", ":")).encode() + b"\r\n"


def verify(
    body: bytes = BODY, *keys: bytes, given: str = GIVEN, stamp: str = str(AT), now: int = AT
) -> None:
    sent = WebhookRequest("sendgrid", {SIGNATURE: given, TIMESTAMP: stamp}, body)
    SENDER.verify(sent, body, keys or (KEY,), now * 1000)


def test_the_published_vectors_hold() -> None:
    verify()
    verify(
        b'{"category":"example_payload","event":"test_event","message_id":"message_id"}',
        b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7"
        b"yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==",
        given="MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nl"
        "xFDWYNH2j/0=",
        stamp="1588788367",
        now=1588788367,
    )


def test_either_key_is_accepted_while_one_rotates() -> None:
    verify(BODY, ANOTHER_KEY, KEY)
    verify(BODY, KEY, ANOTHER_KEY)


@pytest.mark.parametrize(
    ("body", "key", "given", "stamp"),
    [
        pytest.param(BODY.rstrip(), KEY, GIVEN, str(AT), id="without its CRLF"),
        pytest.param(BODY[:-2] + b"\n", KEY, GIVEN, str(AT), id="with another line end"),
        pytest.param(b"payload", KEY, GIVEN, str(AT), id="another body"),
        pytest.param(BODY, ANOTHER_KEY, GIVEN, str(AT), id="another key"),
        pytest.param(BODY, KEY, GIVEN.replace("Z", "3"), str(AT), id="another signature"),
        pytest.param(BODY, KEY, GIVEN, str(AT + 1), id="another time"),
        pytest.param(BODY, KEY, GIVEN, "timestamp", id="no time"),
        pytest.param(BODY, KEY, "not base64 \u00e9", str(AT), id="no base64"),
        pytest.param(BODY, KEY, base64.b64encode(b"no DER").decode(), str(AT), id="no signature"),
        pytest.param(BODY, KEY[:-8] + b"AAAAAA==", GIVEN, str(AT), id="no point on the curve"),
    ],
)
def test_what_is_not_signed_is_refused(body: bytes, key: bytes, given: str, stamp: str) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(body, key, given=given, stamp=stamp)
    assert refused.value.status == 401


@pytest.mark.parametrize("seconds", [-301, 301])
def test_five_minutes_both_ways(seconds: int) -> None:
    verify(now=AT + 300)
    verify(now=AT - 300)
    with pytest.raises(RefusedError, match="stale"):
        verify(now=AT + seconds)


def test_a_key_may_be_stored_as_a_pem_file() -> None:
    lines = [b"-----BEGIN PUBLIC KEY-----", KEY[:64], KEY[64:], b"-----END PUBLIC KEY-----", b""]
    verify(BODY, b"\n".join(lines))


def test_nobody_but_sendgrid_signs_for_its_public_key() -> None:
    with pytest.raises(ValueError, match="public key"):
        SENDER.sign(WebhookRequest("sendgrid", {}, BODY), KEY, NOW)


def test_an_event_is_one_in_whatever_batches_and_however_often_it_comes() -> None:
    """SendGrid has been seen to deliver one 46 times."""
    world = World()
    other = {**EVENT, "sg_event_id": "other"}
    for number in range(46):
        again = {**EVENT, "attempt": number}
        batch = [again, other] if number % 2 else [other, again]
        world.receive(request("sendgrid", orjson.dumps(batch), at=NOW - number))

    assert len(world.events()) == 92
    assert len({event.event_id for event in world.events()}) == 2


def test_a_user_named_by_the_sender_is_not_tied_to_the_address() -> None:
    """That a message went to an address says nothing about who reads it."""
    world = World()
    named = {**EVENT, "user_id": "u1", "group_id": "acme"}
    world.receive(request("sendgrid", orjson.dumps([named, EVENT])))
    first, second = world.events()

    assert [(a.type, a.value) for a in first.aliases] == [(AliasType.USER, "u1")]
    assert first.account_key == "group:acme"
    assert first.traits["email"] == "ada@example.com"
    assert [(a.type, a.value) for a in second.aliases] == [(AliasType.EMAIL, "ada@example.com")]


def test_categories_come_as_text_or_list() -> None:
    world = World()
    for category in ("cat facts", ["cat facts", "dog facts"], [], None):
        named = {**EVENT, "category": category}
        world.receive(request("sendgrid", orjson.dumps([named])))

    assert not world.quarantined()
    found = [event.properties.get("campaign") for event in world.events()]
    assert found == ["cat facts", "cat facts", None, None]


def test_the_address_of_a_mail_server_is_nobodys() -> None:
    world = World()
    sent = [{**EVENT, "ip": "203.0.113.7", "event": kind} for kind in ("delivered", "click")]
    world.receive(request("sendgrid", orjson.dumps(sent)))

    assert [bool(event.context.ip_hash) for event in world.events()] == [False, True]


def test_one_bad_event_does_not_cost_the_batch() -> None:
    world = World()
    answer = world.receive(request("sendgrid", orjson.dumps([EVENT, None, 7, {}, "x"])))
    assert (answer.status, answer.accepted, answer.quarantined) == (200, 1, 4)
    answer = world.receive(request("sendgrid", orjson.dumps(EVENT)))
    assert (answer.status, answer.accepted, answer.quarantined) == (200, 0, 1)
