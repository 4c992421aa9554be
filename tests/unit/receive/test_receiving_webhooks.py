"""What senders are answered, and what reaches Kafka before that."""

from __future__ import annotations

import gzip
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.contracts import Topic
from desireline.receive.request import BODY_LIMIT, WebhookRequest
from desireline_local.sender_side.signing import sign
from tests.worlds.receiving import NEXT, NOW, PLAN, SECRET, World, request, segment, track

STRIPE_BODY = orjson.dumps(
    {
        "id": "evt_1",
        "type": "invoice.paid",
        "created": NOW // 1000,
        "data": {"object": {"customer": "cus_1", "amount_paid": 100, "currency": "usd"}},
    }
)


def test_a_signed_call_is_durable_before_it_is_answered() -> None:
    world = World()

    answer = world.receive(segment(track()))

    assert (answer.status, answer.accepted) == (200, 1)
    assert not world.pending
    (event,) = world.events()
    assert event.name == "project_created"
    assert world.of(Topic.EVENTS_RECEIVED)[0].key == event.fragment
    assert len(world.of(Topic.WEBHOOKS_RAW)) == 1


def test_without_kafka_the_sender_is_asked_to_come_again() -> None:
    world = World()
    world.broken = True

    answer = world.receive(segment(track()))

    assert (answer.status, answer.retry_after is not None) == (503, True)
    assert not world.durable


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (lambda r: WebhookRequest("nobody", r.headers, r.body), 404, "unknown_sender"),
        (lambda r: WebhookRequest("segment", {}, r.body), 401, "unsigned"),
        (lambda r: WebhookRequest("segment", r.headers, r.body + b" "), 401, "forged"),
        (lambda r: WebhookRequest("segment", r.headers, b" " * (BODY_LIMIT + 1)), 413, "too_large"),
        (
            lambda r: WebhookRequest("segment", {**r.headers, "content-encoding": "br"}, r.body),
            415,
            "unknown_encoding",
        ),
        (
            lambda r: WebhookRequest("segment", {**r.headers, "content-encoding": "gzip"}, r.body),
            400,
            "malformed",
        ),
        (lambda _: request("segment", b"{not json"), 400, "malformed"),
        (lambda _: request("stripe", b'{"object": "no event"}'), 400, "malformed"),
    ],
)
def test_what_a_sender_does_wrong_is_a_4xx_with_a_reason(
    change: Any, status: int, reason: str
) -> None:
    world = World()

    answer = world.receive(change(segment(track())))

    assert (answer.status, answer.reason) == (status, reason)
    assert world.counts[f"webhooks_refused:{reason}"] == 1
    assert not world.durable


def test_a_gzip_bomb_is_too_large() -> None:
    body = gzip.compress(b" " * (BODY_LIMIT + 1))
    bomb = WebhookRequest("segment", {"content-encoding": "gzip"}, body)

    assert World().receive(bomb).status == 413


@pytest.mark.parametrize("off", [-301_000, 301_000, 86_400_000])
def test_a_stripe_signature_is_stale_both_ways(off: int) -> None:
    answer = World().receive(request("stripe", STRIPE_BODY, at=NOW + off))

    assert (answer.status, answer.reason) == (400, "stale")


def test_stripe_signs_with_several_secrets_while_one_rotates() -> None:
    good = sign("stripe", STRIPE_BODY, SECRET, NOW)["stripe-signature"]
    header = good.replace("v1=", "v1=" + "0" * 64 + ",v1=")

    answer = World().receive(WebhookRequest("stripe", {"stripe-signature": header}, STRIPE_BODY))

    assert (answer.status, answer.accepted) == (200, 1)


def test_both_secrets_verify_and_a_new_one_is_fetched_once_a_minute() -> None:
    world = World()
    world.stored = (NEXT, SECRET)

    assert world.receive(segment(track(1), secret=NEXT)).status == 200
    assert world.receive(segment(track(2), secret=SECRET)).status == 200
    assert world.receive(segment(track(3), secret=b"third")).status == 401


def test_a_batch_needs_its_key_because_only_its_first_event_is_signed() -> None:
    signed = segment(track(1), track(2))
    bare = {name: value for name, value in signed.headers.items() if name != "x-desireline-key"}

    assert World().receive(signed).accepted == 2
    answer = World().receive(WebhookRequest("segment", bare, signed.body))
    assert (answer.status, answer.reason) == (401, "batch_key")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (track(2, event="Never Heard Of"), "unmapped"),
        (track(2, event="Integration Connected", properties={}), "parameter_missing"),
        (track(2, userId="undefined"), "no_identity"),
        (track(2, timestamp="2026-01-09T00:00:00Z"), "future_time"),
    ],
)
def test_an_event_that_breaks_the_plan_is_set_aside_and_the_others_are_taken(
    call: dict[str, Any], reason: str
) -> None:
    world = World()

    answer = world.receive(segment(track(1), call))

    assert (answer.status, answer.accepted, answer.quarantined) == (200, 1, 1)
    (found,) = world.quarantined()
    assert found.reason == reason
    assert found.raw is not None
    assert (found.raw.index, found.plan_version) == (1, PLAN.version)


def test_a_redelivery_has_the_same_ids_and_nothing_tells_who_it_was() -> None:
    one, two = World(), World()
    one.receive(segment(track()))
    two.receive(segment(track()))

    assert one.events() == two.events()
    text = one.of(Topic.EVENTS_RECEIVED)[0].value
    assert b"203.0.113.7" not in text
    assert b"Mozilla" not in text


def test_an_event_without_a_time_takes_that_of_its_arrival() -> None:
    world = World()
    call = track()
    del call["timestamp"]

    world.receive(segment(call))

    (event,) = world.events()
    assert (event.timed, event.occurred_at) == (False, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200), value=st.text(max_size=60))
def test_no_bytes_and_no_header_make_a_5xx(body: bytes, value: str) -> None:
    for source, header in (("segment", "x-signature"), ("stripe", "stripe-signature")):
        answer = World().receive(WebhookRequest(source, {header: value}, body))
        assert 400 <= answer.status < 500


@settings(max_examples=150, deadline=None)
@given(fields=st.dictionaries(st.sampled_from([*track(), "traits", "groupId"]), JSON), data=JSON)
def test_no_signed_json_makes_a_5xx(fields: dict[str, Any], data: Any) -> None:
    call = json.dumps({**track(), **fields}).encode()
    event = json.dumps({"id": "evt_1", "type": "invoice.paid", "data": data}).encode()

    assert World().receive(request("segment", call)).status < 500
    assert World().receive(request("stripe", event)).status < 500
