"""Of a suppressed person nothing is taken and nothing is kept in clear, and the sender is told."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from desireline.contracts import Topic
from desireline.events import AliasType, CanonicalEvent, Context, RawWebhook
from desireline.plan.tracking_plan import TrackingPlan
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import (
    Arrival,
    EventMapper,
    Mapped,
    Withheld,
    reports_of,
)
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES, load_senders
from desireline_local.sender_side.samples import load
from desireline_local.sender_side.signing import sign
from tests.worlds.receiving import NOW, PLAN, SECRET, World

WHEN = "2026-01-05T00:00:00Z"
ADA = {"userId": "ada", "anonymousId": "browser-1", "traits": {"email": "ada@acme.com"}}


def call(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": "Report Viewed", "messageId": f"m{number}", "timestamp": WHEN,
        "context": {"ip": "203.0.113.7", "userAgent": "Firefox"}, **fields,
    }  # fmt: skip


def webhook(*calls: dict[str, Any], address: str = "203.0.113.9") -> WebhookRequest:
    body = orjson.dumps({"batch": calls, "context": {"traits": {"email": "ada@acme.com"}}})
    headers = {**sign("segment", body, SECRET, NOW), "user-agent": "Adas browser"}
    return WebhookRequest("segment", headers, body, address)


def suppressing(*aliases: tuple[AliasType, str], plan: TrackingPlan = PLAN) -> World:
    world = World(plan)
    found = [world.fragments.alias(*alias) for alias in aliases]
    world.suppressed = frozenset(alias.fragment for alias in found if alias)
    return world


def kept(world: World) -> tuple[RawWebhook, bytes]:
    (record,) = world.of(Topic.WEBHOOKS_RAW)
    raw = RawWebhook.decode(record.value)
    return raw, base64.b64decode(raw.body)


@pytest.mark.parametrize(
    "alias",
    [
        (AliasType.USER, "ada"),
        (AliasType.ANONYMOUS, "browser-1"),
        (AliasType.EMAIL, "Ada@Acme.com"),
    ],
)
def test_one_alias_is_enough_and_then_nothing_at_all_is_written(alias: Any) -> None:
    world = suppressing(alias)

    answer = world.receive(webhook(call(1, **ADA)))

    assert (answer.status, answer.accepted, answer.quarantined, answer.withheld) == (200, 0, 0, 1)
    assert not world.durable
    assert world.counts["events_withheld:suppressed"] == 1


@pytest.mark.parametrize("user", [{}, {"user_id": "ada"}])
def test_an_address_is_enough_where_it_is_no_alias_but_a_trait(user: dict[str, str]) -> None:
    """Given a message went to an address, and its sender says whose it is."""
    sent = {"event": "delivered", "email": "Ada@acme.com", "sg_event_id": "e1", **user}
    other = {"event": "delivered", "email": "bob@acme.com", "sg_event_id": "e2"}
    body = orjson.dumps([sent, other])
    world = suppressing((AliasType.EMAIL, "ada@acme.com"))

    answer = world.receive(WebhookRequest("sendgrid", sign("sendgrid", body, SECRET, NOW), body))

    assert (answer.accepted, answer.withheld) == (1, 1)
    _, raw = kept(world)
    assert b"da@acme.com" not in raw
    assert b"bob@acme.com" in raw


def test_what_breaks_the_plan_is_not_set_aside_in_clear_either() -> None:
    world = suppressing((AliasType.USER, "ada"))

    answer = world.receive(webhook(call(1, **ADA, **{"event": "Never Heard Of"})))

    assert (answer.quarantined, answer.withheld) == (0, 1)
    assert not world.durable


def test_a_batch_with_one_of_them_is_taken_without_it() -> None:
    """Given a batch with a suppressed person's call, one that breaks the plan, and a good one,
    then the others are taken, and the raw body keeps them in their places and not the person."""
    world = suppressing((AliasType.USER, "ada"))

    answer = world.receive(
        webhook(call(1, userId="bob"), call(2, **ADA), call(3, userId="cy", event="Unheard Of"))
    )

    assert (answer.accepted, answer.quarantined, answer.withheld) == (1, 1, 1)
    raw, body = kept(world)
    everything = b"".join(record.value for record in world.durable) + body
    for theirs in (b"ada", b"browser-1", b"acme.com", b"Adas browser", b"203.0.113.9"):
        assert theirs not in everything
    assert raw.withheld == 1
    (bad,) = world.quarantined()
    assert bad.raw is not None and bad.raw.index == 2
    assert orjson.loads(body)["batch"][2]["event"] == "Unheard Of"


def test_what_is_left_of_a_body_maps_again_to_the_same_events() -> None:
    world = suppressing((AliasType.USER, "ada"))
    world.receive(webhook(call(1, **ADA), call(2, userId="bob")))
    raw, _ = kept(world)
    mapping = EventMapper(Canonical(PLAN, world.fragments), PLAN.version)

    sender = load_senders(["segment"])["segment"]
    gone, left = mapping(sender, reports_of(sender, raw), Arrival(raw.id, NOW, NOW))

    assert gone == Withheld(0, "withheld")
    assert isinstance(left, Mapped)
    assert left.event == world.of(Topic.EVENTS_RECEIVED)[0].value


def test_mapping_again_withholds_whoever_is_suppressed_by_then() -> None:
    """Nothing that was kept before brings a person back by replay."""
    before = World()
    before.receive(webhook(call(1, **ADA)))
    raw, _ = kept(before)
    now = suppressing((AliasType.USER, "ada"))
    sender = load_senders(["segment"])["segment"]

    (outcome,) = now.receive._map(sender, reports_of(sender, raw), Arrival(raw.id, NOW, NOW))

    assert outcome == Withheld(0, "suppressed")


def test_while_it_is_not_known_who_is_suppressed_senders_are_asked_to_come_again() -> None:
    world = World()
    world.suppressed = None

    assert world.receive(webhook(call(1, **ADA))).status == 503
    assert not world.durable


@pytest.mark.parametrize(
    ("needed", "given", "withheld"),
    [
        ("Analytics", {"Analytics": False}, 1),
        ("Analytics", {"Analytics": True}, 0),
        ("Analytics", {"Advertising": False}, 0),
        ("Analytics", {"Analytics": "no"}, 0),
        (None, {"Analytics": False}, 0),
    ],
)
def test_consent_that_was_refused_withholds_where_the_plan_needs_it(
    needed: str | None, given: dict[str, Any], withheld: int
) -> None:
    world = World(PLAN.model_copy(update={"needed_consent": needed}))
    context = {"consent": {"categoryPreferences": given}}

    answer = world.receive(webhook(call(1, **{**ADA, "context": context})))

    assert (answer.withheld, answer.accepted) == (withheld, 1 - withheld)
    assert world.counts["events_withheld:consent"] == withheld
    assert len(world.of(Topic.WEBHOOKS_RAW)) == 1 - withheld


@pytest.mark.parametrize("name", sorted(NAMES))
def test_of_every_sender_a_suppressed_persons_events_leave_nothing(name: str) -> None:
    """Given each sample, and everybody in it suppressed, then nothing is taken of it, and none of
    their aliases is in anything that was written."""
    for sample in load(name).samples:
        open_door = World()
        open_door.receive(sample.signed(name, SECRET, NOW))
        events = open_door.events()
        if not events:
            continue
        world = World()
        world.suppressed = frozenset(one.fragment for event in events for one in event.aliases)

        answer = world.receive(sample.signed(name, SECRET, NOW))

        assert answer.status == 200
        assert not world.of(Topic.EVENTS_RECEIVED), sample.name
        assert answer.accepted == 0
        assert answer.withheld >= len(events)
        written = b"".join(
            base64.b64decode(orjson.loads(record.value).get("body", "")) + record.value
            for record in world.durable
        )
        for event in events:
            for alias in event.aliases:
                if len(alias.value) > 5:
                    assert alias.value.encode() not in written, sample.name


@pytest.mark.parametrize("name", sorted(NAMES))
def test_of_every_sender_what_is_left_of_a_body_maps_again_to_the_others(name: str) -> None:
    """Given each sample with several persons, and the first of them suppressed, then the others'
    events are taken, and come out of what is kept of the body once more. (What a batch shared went
    too, for it may be of the person who went: an address.)"""
    for sample in load(name).samples:
        open_door = World()
        open_door.receive(sample.signed(name, SECRET, NOW))
        first = {one.fragment for event in open_door.events()[:1] for one in event.aliases}
        world = World()
        world.suppressed = frozenset(first)

        answer = world.receive(sample.signed(name, SECRET, NOW))

        assert answer.status == 200
        assert all(
            not first & {one.fragment for one in event.aliases} for event in world.events()
        ), sample.name
        if not world.of(Topic.WEBHOOKS_RAW) or not answer.withheld:
            continue
        raw, _ = kept(world)
        sender = load_senders([name])[name]
        again = EventMapper(Canonical(PLAN, world.fragments), PLAN.version)
        outcomes = again(sender, reports_of(sender, raw), Arrival(raw.id, NOW, NOW))
        mapped = [CanonicalEvent.decode(one.event) for one in outcomes if isinstance(one, Mapped)]
        assert _apart_from_context(mapped) == _apart_from_context(world.events()), sample.name


def _apart_from_context(events: list[CanonicalEvent]) -> list[CanonicalEvent]:
    return [event.model_copy(update={"context": Context()}) for event in events]
