"""What orjson reads it does not always write, and Python does not always print: its nesting limits
differ. A body that is nested as deep as can be read is no 5xx, which its sender would repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import orjson
import pytest

from desireline.contracts import Topic
from desireline.receive.senders import NAMES, load_senders
from desireline_local.sender_side.samples import Sample, load
from tests.worlds.receiving import NOW, SECRET, World, request
from tests.worlds.signed_bodies import places, sent

EACH_SENDER = pytest.mark.parametrize("name", sorted(NAMES))
WHEN = "2026-01-05T00:00:00Z"
WRITTEN, READ = 300, 1_000
"""Deeper than orjson writes; nearly as deep as it reads."""


def deep(sample: Sample, depth: int) -> Iterator[bytes]:
    """The sample, in each place in turn with lists in lists instead."""
    try:
        document = orjson.loads(sample.content)
    except orjson.JSONDecodeError:
        return
    for number in range(len(places(document))):
        changed = deepcopy(document)
        container, key = places(changed)[number]
        container[key] = "nested"
        yield re.sub(rb'"nested"', b"[" * depth + b"]" * depth, orjson.dumps(changed))


@EACH_SENDER
def test_a_deep_body_is_no_5xx(name: str) -> None:
    keeps = load_senders()[name].keeps_unreadable
    for sample in load(name).samples:
        for body in deep(sample, READ):
            answer = World().receive(sent(name, sample, body))
            assert answer.status == 200 if keeps else answer.status < 500


@EACH_SENDER
def test_a_deep_body_of_which_a_suppressed_person_is_taken_out_is_no_5xx(name: str) -> None:
    """Given a batch with somebody's event, and another that can be read and not be written again,
    then the others' events are taken, and the person is not kept."""
    for sample in load(name).samples:
        open_door = World()
        open_door.receive(sample.signed(name, SECRET, NOW))
        first = frozenset(one.fragment for event in open_door.events()[:1] for one in event.aliases)
        for body in deep(sample, WRITTEN):
            world = World()
            world.suppressed = first

            answer = world.receive(sent(name, sample, body))

            assert answer.status < 500
            assert len(world.of(Topic.EVENTS_RECEIVED)) == answer.accepted
            assert all(
                not first & {one.fragment for one in event.aliases} for event in world.events()
            )


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("segment", {"type": "track", "event": "Report Viewed", "timestamp": WHEN}),
        ("direct", {"type": "track", "event": "Report Viewed", "timestamp": WHEN}),
        ("sendgrid", {"event": "delivered", "email": "ada@acme.com", "timestamp": NOW // 1000}),
    ],
)
def test_a_deep_message_without_an_id_does_not_cost_its_batch(
    name: str, call: dict[str, Any]
) -> None:
    """Given a batch whose messages have no ids, and one of them is nested deeply, then all are
    taken, and have the same ids when they come again."""
    batch = orjson.dumps([{**call, "userId": "ada", "more": more} for more in (1, "nested", 3)])
    body = batch.replace(b'"nested"', b"[" * WRITTEN + b"]" * WRITTEN)
    ids = []
    for _ in range(2):
        world = World()
        assert world.receive(request(name, body)).accepted == 3
        ids.append([event.event_id for event in world.events()])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
