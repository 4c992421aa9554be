"""Whatever stands in a signed body, no sender gets a 5xx, and the same body is the same events."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.contracts import Topic
from desireline.errors import RefusedError
from desireline.events import CanonicalEvent, RawWebhook
from desireline.receive.mapping.canonical import Canonical
from desireline.receive.mapping.event_mapper import Arrival, EventMapper, Mapped, reports_of
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import NAMES
from desireline_local.sender_side.samples import CALLED, Sample, load
from tests.worlds.receiving import NOW, PLAN, SECRET, World
from tests.worlds.signed_bodies import JSON, SENDERS, places, sent

EACH_SENDER = pytest.mark.parametrize("name", sorted(NAMES))


def changed(data: st.DataObject, sample: Sample) -> bytes:
    """The sample with something else in some places, or with nothing there."""
    try:
        document = orjson.loads(sample.content)
    except orjson.JSONDecodeError:
        return data.draw(st.binary(max_size=60)) + sample.content
    for _ in range(data.draw(st.integers(1, 3))):
        there = places(document)
        if not there:
            break
        container, key = data.draw(st.sampled_from(there))
        if data.draw(st.booleans()):
            # A copy: what is sampled is one object, and the next change may be within it.
            container[key] = deepcopy(data.draw(JSON))
        else:
            del container[key]
    return json.dumps(document).encode()


@EACH_SENDER
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_change_of_a_sample_makes_a_5xx_or_another_event_the_second_time(
    name: str, data: st.DataObject
) -> None:
    sample = data.draw(st.sampled_from(load(name).samples))
    body = changed(data, sample)
    first, second = World(), World()

    answer = first.receive(sent(name, sample, body))
    second.receive(sent(name, sample, body))

    assert answer.status < 500, (answer, body)
    assert first.events() == second.events()
    assert first.quarantined() == second.quarantined()
    if SENDERS[name].keeps_unreadable:
        # Such a sender counts refusals until it sends no more.
        assert answer.status == 200, (answer, body)
    if answer.status == 200:
        assert len(first.events()) == answer.accepted
        assert len(first.quarantined()) == answer.quarantined


@EACH_SENDER
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_kept_of_any_body_is_counted_where_it_was(name: str, data: st.DataObject) -> None:
    """Given any body, and the first person of the sample it was made of suppressed, when what is
    kept of it is mapped again, then its events have the ids, fragments and accounts under which
    they were counted: what differs in one of them would be counted a second time."""
    sample = data.draw(st.sampled_from(load(name).samples))
    body = changed(data, sample)
    world, open_door = World(), World()
    open_door.receive(sample.signed(name, SECRET, NOW))
    suppressed = {one.fragment for event in open_door.events()[:1] for one in event.aliases}
    world.suppressed = frozenset(suppressed)

    world.receive(sent(name, sample, body))

    for record in world.of(Topic.WEBHOOKS_RAW):
        raw = RawWebhook.decode(record.value)
        try:
            reports = reports_of(SENDERS[name], raw)
        except RefusedError:
            assert not world.events()
            continue
        again = EventMapper(Canonical(PLAN, world.fragments), PLAN.version)
        outcomes = again(SENDERS[name], reports, Arrival(raw.id, NOW, NOW))
        mapped = [CanonicalEvent.decode(one.event) for one in outcomes if isinstance(one, Mapped)]
        assert counted(mapped) == counted(world.events())


def counted(events: list[CanonicalEvent]) -> list[tuple[object, ...]]:
    """What decides where an event is counted, and whether it is known."""
    return [(one.event_id, one.fragment, one.occurred_at, one.accounts) for one in events]


@EACH_SENDER
@settings(max_examples=25, deadline=None)
@given(payload=JSON)
def test_no_signed_json_makes_a_5xx(name: str, payload: Any) -> None:
    (sample, *_) = load(name).samples
    answer = World().receive(sent(name, sample, json.dumps(payload).encode()))
    assert answer.status == 200 if SENDERS[name].keeps_unreadable else answer.status < 500


@EACH_SENDER
@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=120), value=st.text(max_size=80))
def test_no_header_and_no_bytes_make_a_5xx_or_get_in(name: str, body: bytes, value: str) -> None:
    """Whatever stands where the signature should be."""
    (sample, *_) = load(name).samples
    headers = {header: value for header in sent(name, sample, b"{}").headers}
    world = World()

    answer = world.receive(WebhookRequest(name, headers, body, url=f"{CALLED}{name}"))

    assert 400 <= answer.status < 500
    assert not world.durable
