"""Repair: a corrected mapping on the very events; replay of exactly those; what a case shows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from desireline.adapters.raw_bodies import FirstFound
from desireline.contracts import Header, Topic
from desireline.errors import UnavailableError
from desireline.events import CanonicalEvent, Quarantined, Stamps
from desireline.plan.tracking_plan import load_plan
from desireline.receive.senders import load_senders
from desireline.records import Record
from desireline.recover.quarantine.case_details import ShowCase
from desireline.recover.quarantine.cases import State
from desireline.resources import TRACKING_PLAN
from tests.worlds.raw_bodies import MemoryRawBodies
from tests.worlds.receiving import NOW, PLAN, World, segment, track
from tests.worlds.repairing import Scene, mapping, tea


@pytest.fixture
def corrected(tmp_path: Path) -> Any:
    """The deployed plan with a mapping more."""
    folder = tmp_path / "plan"
    shutil.copytree(TRACKING_PLAN, folder)
    file = folder / "senders" / "segment.yaml"
    more = (
        "  - {call: track, event: Tea Drunk, as: feature_used,"
        " properties: {feature_name: properties.kind}}\n"
    )
    file.write_text(file.read_text().rstrip() + "\n" + more)
    return load_plan(folder)


def test_a_correction_is_shown_on_each_event_before_and_after(corrected):
    scene = Scene(tea(1), track(2), tea(3, properties={}), track(4, event="Coffee Drunk"))

    found = {one.case.id[-1]: one for one in scene.repair(corrected).preview(scene.all())}

    assert {place: one.before.reason for place, one in found.items()} == dict.fromkeys(
        "023", "unmapped"
    )
    (event,) = found["0"].after.events
    assert (event["name"], event["properties"]) == ("feature_used", {"feature_name": "green"})
    assert (found["2"].after.reason, found["2"].after.detail) == (
        "parameter_missing",
        "feature_name",
    )
    assert found["3"].after.reason == "unmapped"
    assert scene.replayed() == []


def test_exactly_the_repaired_are_replayed_as_they_would_have_been_at_first(corrected):
    """Given a batch received before its mapping was right, when the case is repaired and replayed,
    then the event is what the right mapping would have made of it on arrival, but for the mark."""
    scene = Scene(tea(1), track(2), tea(3, properties={}))
    right = World()
    right.receive._map = mapping(corrected)
    right.receive(segment(tea(1), track(2), tea(3, properties={})))
    first = right.of(Topic.EVENTS_RECEIVED)[0]

    said = scene.replay(corrected)

    assert (said.replayed, said.failing) == (1, {"parameter_missing": 1})
    (record,) = scene.replayed()
    assert (record.key, record.value) == (first.key, first.value)
    assert record.headers == {Header.REPLAY: b"r1"}
    event = CanonicalEvent.decode(record.value)
    assert (event.received_at, event.stamps.received) == (NOW, NOW)
    (case,) = scene.all(state=State.REPAIRED)
    assert (case.replayed, case.repaired_as) == ("r1", event.event_id)


def test_a_second_replay_does_nothing(corrected):
    scene = Scene(tea(1), tea(2))
    scene.replay(corrected)

    again = scene.replay(corrected, "r2")

    assert (again.replayed, again.already) == (0, 2)
    assert len(scene.replayed()) == 2
    assert {case.replayed for case in scene.all()} == {"r1"}


def test_nothing_is_marked_before_the_broker_has_it(corrected):
    """Given a broker that is away, when a replay is tried, then nothing is marked; and again, then
    all is, under the same ids."""
    scene = Scene(tea(1))
    scene.world.broken = True
    with pytest.raises(UnavailableError):
        scene.replay(corrected)
    assert scene.all(state=State.REPAIRED) == []
    scene.world.broken = False

    scene.replay(corrected)

    assert len(scene.all(state=State.REPAIRED)) == 1
    assert len({CanonicalEvent.decode(one.value).event_id for one in scene.replayed()}) == 1


def test_a_raw_body_that_is_gone_is_told():
    scene = Scene(tea(1))
    scene.bodies = MemoryRawBodies(list)
    (found,) = scene.repair().preview(scene.all())
    assert found.after.reason == "raw_gone"
    assert scene.replay().failing == {"raw_gone": 1}


def set_aside(component: str, topic: Topic, record: str | None, **fields: Any) -> Record:
    message = Quarantined(
        id=f"{topic}-0-7",
        source=topic,
        component=component,
        reason="bad_luck",
        record=record,
        at=NOW,
        stamps=Stamps(),
        **fields,
    )
    return Record(Topic.EVENTS_QUARANTINED, 0, 1, NOW, b"k", message.encode())


def test_a_later_stages_record_goes_to_its_topic_again():
    scene = Scene(track(1))
    sound = scene.world.of(Topic.EVENTS_RECEIVED)[0]
    text = sound.value.decode()
    scene.index(set_aside("resolve", Topic.EVENTS_RECEIVED, text, key="some key"))

    (found,) = scene.repair().preview(scene.all())
    assert found.before.reason == "bad_luck"
    scene.replay()

    (record,) = scene.replayed()
    assert (record.topic, record.key, record.value) == (
        Topic.EVENTS_RECEIVED,
        "some key",
        sound.value,
    )
    assert Header.REPLAY in record.headers
    assert len(scene.all(state=State.REPAIRED)) == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("not JSON", "unreadable_record"),
        (None, "record_gone"),
        ('{"schema_version": 99', "unreadable_record"),
    ],
)
def test_a_later_stages_record_that_cannot_be_read_still_fails(record, reason):
    scene = Scene()
    scene.index(set_aside("resolve", Topic.EVENTS_RECEIVED, record))
    assert scene.replay().failing == {reason: 1}
    assert scene.replayed() == []


def test_a_newer_schema_still_fails_with_its_version():
    scene = Scene(track(1))
    event = orjson.loads(scene.world.of(Topic.EVENTS_RECEIVED)[0].value)
    text = orjson.dumps({**event, "schema_version": 99}).decode()
    scene.index(set_aside("resolve", Topic.EVENTS_RECEIVED, text))
    (found,) = scene.repair().preview(scene.all())
    assert (found.after.reason, found.after.detail) == ("unknown_schema", "version 99")


def show(scene: Scene) -> Any:
    (case,) = scene.all()
    return ShowCase(bodies=scene.bodies, senders=load_senders(), plan=PLAN)(case)


def test_a_case_shows_its_body_what_was_seen_of_it_and_what_comes_near():
    call = track(1, event="Project Craeted")
    shown = show(Scene(call))
    assert orjson.loads(shown.body or "") == call
    assert (shown.report.call, shown.report.event) == ("track", "Project Craeted")
    assert shown.report.aliases == (("user", "u1"),)
    assert shown.location.file == "senders/segment.yaml"
    assert shown.location.near[0] == "Project Created -> project_created"


def test_a_case_shows_the_parameter_that_broke_and_what_the_plan_wants():
    shown = show(Scene(track(1, event="Feature Used", properties={"engagement_depth": 3})))
    place = shown.location
    assert (place.event, place.parameter, place.got) == ("feature_used", "feature_name", None)
    assert place.wants == {"type": "string", "required": True}
    assert place.mapping["event"] == "Feature Used"


def test_a_later_stages_case_shows_its_record():
    scene = Scene()
    scene.index(set_aside("resolve", Topic.EVENTS_RECEIVED, "not JSON"))
    shown = show(scene)
    assert (shown.body, shown.raw, shown.location) == ("not JSON", None, None)


def test_bodies_are_looked_for_in_the_second_place_where_the_first_has_none():
    scene = Scene(tea(1))
    empty = MemoryRawBodies(list)
    wanted = {case.raw.id: case.arrived for case in scene.all()}
    assert FirstFound(empty, scene.bodies).find(wanted).keys() == wanted.keys()
    assert FirstFound(scene.bodies, empty).find(wanted).keys() == wanted.keys()
    assert FirstFound(empty, empty).find(wanted) == {}
