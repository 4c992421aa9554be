"""A raw webhook, mapped again, gives what its first arrival gave, byte for byte."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from desireline.contracts import Topic
from desireline.errors import RefusedError
from desireline.events import Quarantined, RawWebhook
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Mapped,
    Rejected,
    reports_of,
)
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES, load_senders
from desireline_local.sender_side.samples import load
from desireline_local.sender_side.signing import sign
from tests.worlds.receiving import NOW, PLAN, SECRET, World, track


def mapped_again(raw: RawWebhook) -> tuple[list[Mapped], list[Rejected], list[Quarantined]]:
    sender = load_senders()[raw.source]
    mapping = EventMapper.with_secret(PLAN, b"namespace")
    arrival = Arrival(raw.id, raw.received_at, raw.stamped or 0)
    outcomes = list(mapping(sender, reports_of(sender, raw), arrival))
    refusals = [one for one in outcomes if isinstance(one, Rejected)]
    told = [mapping.quarantined(raw.source, one, arrival) for one in refusals]
    return [one for one in outcomes if isinstance(one, Mapped)], refusals, told


def received(body: bytes, **headers: str) -> tuple[World, RawWebhook]:
    world = World()
    request = WebhookRequest("segment", {**headers, **sign("segment", body, SECRET, 0)}, body)
    if "content-encoding" in headers:
        signed = sign("segment", gzip.decompress(body), SECRET, 0)
        request = WebhookRequest("segment", {**headers, **signed}, body)
    assert world.receive(request).status == 200
    return world, RawWebhook.decode(world.of(Topic.WEBHOOKS_RAW)[0].value)


BATCH = [track(1), track(2, event="Never Heard Of"), track(3, timestamp=None), track(4, userId=7)]
LARGE: list[dict[str, Any]] = [track(n, padding="x" * 2_000) for n in range(700)]


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("calls", [BATCH, LARGE], ids=["mixed", "packed for the topic"])
def test_the_same_events_and_refusals_as_the_first_time(calls, zipped):
    body = orjson.dumps({"batch": calls})
    sent = gzip.compress(body) if zipped else body
    world, raw = received(sent, **({"content-encoding": "gzip"} if zipped else {}))

    events, refusals, told = mapped_again(raw)

    assert [one.event for one in events] == [one.value for one in world.of(Topic.EVENTS_RECEIVED)]
    assert [one.fragment for one in events] == [one.key for one in world.of(Topic.EVENTS_RECEIVED)]
    assert told == world.quarantined()
    assert len(events) + len(refusals) == len(calls)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_a_sender_needs_besides_the_body_is_kept(name: str) -> None:
    """Ids in headers, the address called: a body of any sender is mapped again without it."""
    for sample in load(name).samples:
        world = World()
        world.receive(sample.signed(name, SECRET, NOW))
        if world.quarantined() and not world.events():
            continue
        events, _, told = mapped_again(RawWebhook.decode(world.of(Topic.WEBHOOKS_RAW)[0].value))

        sent = world.of(Topic.EVENTS_RECEIVED)
        assert [one.event for one in events] == [one.value for one in sent], sample.name
        assert told == world.quarantined()


def test_what_followed_the_source_in_the_path_is_kept():
    world = World()
    body = orjson.dumps(track())
    headers = sign("segment", body, SECRET, 0)
    world.receive(WebhookRequest("segment", headers, body, call="track"))

    raw = RawWebhook.decode(world.of(Topic.WEBHOOKS_RAW)[0].value)

    assert raw.call == "track"


@pytest.mark.parametrize(("body", "encoding"), [("no base64!", None), ("e30=", "gzip")])
def test_a_damaged_body_is_refused_with_a_reason(body, encoding):
    raw = RawWebhook(
        id="r", source="segment", received_at=1, headers={}, body=body, encoding=encoding
    )
    with pytest.raises(RefusedError, match="damaged"):
        reports_of(load_senders()["segment"], raw)
