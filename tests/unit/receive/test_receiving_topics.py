"""Records of the company's own topics: mapped as a sender's webhooks are, by data alone."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.contracts import Topic
from desireline.errors import RefusedError, UnavailableError
from desireline.events import AccountRole, AliasType, CanonicalEvent, Quarantined, RawWebhook
from desireline.plan.tracking_plan import (
    Ignored,
    MessagePaths,
    SenderMapping,
    SenderWords,
    TrackingPlan,
)
from desireline.receive.mapping.event_mapper import EventMapper, as_received, reports_of
from desireline.receive.receive_topic import ReceiveTopic
from desireline.receive.senders._topic import TopicSender, topic_senders
from desireline.records import Record
from desireline_operate import compose
from tests.worlds.receiving import NOW, PLAN, Suppressed, World

TOPIC = "company.events"
PROJECT = {
    "event_id": "9f0c",
    "type": "project.created",
    "occurred_at": "2026-01-05T00:00:00Z",
    "user": {"id": "u1", "email": "ada@acme.test", "name": "Ada"},
    "device_id": "d1",
    "workspace": {"id": "acme", "role": "owner", "plan": "trial"},
    "data": {"name": "First"},
}


class Scene:
    """One source on the ports of receive's world."""

    def __init__(self, plan: TrackingPlan = PLAN, source: str = "company_events") -> None:
        self.world = World()
        self.source = topic_senders(plan)[source]
        mapping = EventMapper.with_secret(plan, b"namespace", Suppressed(self.world))
        self.receive = ReceiveTopic(
            sources={TOPIC: self.source},
            mapper=mapping,
            producer=self.world,
            clock=self.world,
            wall=self.world,
            metrics=self.world,
        )

    @property
    def events(self) -> list[CanonicalEvent]:
        return self.world.events()

    @property
    def quarantined(self) -> list[Quarantined]:
        return self.world.quarantined()

    @property
    def raw(self) -> list[RawWebhook]:
        return [RawWebhook.decode(one.value) for one in self.world.of(Topic.WEBHOOKS_RAW)]


def record(
    value: Any,
    offset: int = 7,
    *,
    key: bytes | None = b"k",
    headers: Mapping[str, bytes] | None = None,
) -> Record:
    encoded = value if isinstance(value, bytes | None) else orjson.dumps(value)
    return Record(TOPIC, 3, offset, NOW - 1_000, key, encoded, headers or {})


def planned(**places: Any) -> Scene:
    """A source whose records look otherwise."""
    message = MessagePaths(
        **{"call": "'event'", "event": "type", "aliases": {"user": "user"}, **places}
    )
    mapping = SenderMapping(
        **{"call": "event", "event": "project.created", "as": "project_created"}
    )
    ignored = Ignored(call="event", event="heartbeat", why="nobody does it")
    words = SenderWords(sender="other", message=message, mappings=(mapping,), ignored=(ignored,))
    return Scene(TrackingPlan(
        version=PLAN.version, traits=PLAN.traits, events=PLAN.events, senders={"other": words}
    ), "other")  # fmt: skip


def test_a_record_becomes_an_event_as_the_file_says() -> None:
    scene = Scene()

    taken = scene.receive([record(PROJECT)])

    assert taken.accepted == 1
    [event] = scene.events
    assert (event.name, event.source) == ("project_created", "company_events")
    assert event.properties == {"project_name": "First"}
    assert event.occurred_at == NOW
    assert [(one.type, one.value) for one in event.aliases] == [
        (AliasType.USER, "u1"),
        (AliasType.EMAIL, "ada@acme.test"),
        (AliasType.ANONYMOUS, "d1"),
    ]
    assert [(one.key, one.role) for one in event.accounts] == [("group:acme", AccountRole.OWNER)]
    assert event.traits["name"] == "Ada"
    assert event.traits["account_plan"] == "trial"


def test_all_is_durable_before_the_batch_is_acknowledged() -> None:
    scene = Scene()
    scene.world.broken = True
    with pytest.raises(UnavailableError):
        scene.receive([record(PROJECT)])
    assert not scene.world.durable

    scene.world.broken = False
    scene.receive([record(PROJECT)])
    assert not scene.world.pending


def test_a_batch_that_comes_again_has_the_same_ids_in_any_split() -> None:
    """Given records with and without an id of their own, when they come again in another split and
    at another time, then events, raw bodies and quarantine are the same."""
    anonymous = {name: value for name, value in PROJECT.items() if name != "event_id"}
    batch = [record(PROJECT, 7), record(anonymous, 8), record(b"broken", 9), record(anonymous, 10)]
    one, two = Scene(), Scene()
    one.receive(batch)
    for single in reversed(batch):
        two.receive([single])

    ids = [event.event_id for event in one.events]
    assert len(set(ids)) == 3
    assert {*ids} == {event.event_id for event in two.events}
    assert {raw.id for raw in one.raw} == {raw.id for raw in two.raw}
    assert {item.id for item in one.quarantined} == {item.id for item in two.quarantined}


def test_an_id_of_its_own_is_the_same_wherever_the_record_lies() -> None:
    scene = Scene()
    scene.receive([record(PROJECT, 7), record(PROJECT, 8)])
    first, second = scene.events
    assert first.event_id == second.event_id
    assert first.raw != second.raw


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"\x00\x00\x00\x00\x07avro", "not_json"),
        (b"", "not_json"),
        (b"3", "unmapped"),
        (b"null", "unmapped"),
        ({"type": "unheard.of", "user": {"id": "u1"}}, "unmapped"),
        ({**PROJECT, "user": None, "device_id": None}, "no_identity"),
        ({**PROJECT, "type": "integration.connected", "data": {}}, "parameter_missing"),
        ({**PROJECT, "occurred_at": "2030-01-01T00:00:00Z"}, "future_time"),
    ],
)
def test_what_cannot_be_mapped_is_set_aside_and_stops_no_other(value: Any, reason: str) -> None:
    scene = Scene()

    taken = scene.receive([record(value, 7), record(PROJECT, 8)])

    assert (taken.accepted, taken.quarantined) == (1, {reason: 1})
    [item] = scene.quarantined
    assert (item.reason, item.source) == (reason, "company_events")
    assert item.raw is not None
    assert item.raw.id in {raw.id for raw in scene.raw}
    assert scene.world.counts[f"events_quarantined:{reason}"] == 1


def test_avro_is_named_for_what_it_is() -> None:
    scene = Scene()
    scene.receive([record(b"\x00\x00\x00\x00\x07avro")])
    assert "Avro or Protobuf" in scene.quarantined[0].detail


def test_tombstones_are_skipped_and_counted() -> None:
    scene = Scene()
    scene.receive([record(None), record(PROJECT, 8), record(None, 9)])
    assert len(scene.events) == len(scene.raw) == 1
    assert scene.world.counts["topic_records_skipped:"] == 2


def test_a_record_may_hold_several_events() -> None:
    scene = Scene()
    anonymous = {name: value for name, value in PROJECT.items() if name != "event_id"}
    scene.receive([record([anonymous, anonymous, {"type": "unheard.of"}])])
    assert len({event.event_id for event in scene.events}) == 2
    assert [event.raw.index for event in scene.events] == [0, 1]
    assert [item.raw.index for item in scene.quarantined if item.raw] == [2]


def test_the_raw_body_alone_gives_the_same_events_again() -> None:
    """Repair and replay have no topic to look at."""
    anonymous = {name: value for name, value in PROJECT.items() if name != "event_id"}
    scene = Scene()
    value = record([anonymous, PROJECT])
    scene.receive([value])
    [raw] = scene.raw

    again = reports_of(scene.source, raw)

    request = scene.source.request(value)
    assert again == list(scene.source.messages(scene.source.parse(request.body), request))
    assert again[0].id == f"{TOPIC}-3-7-0"
    assert as_received(raw).body == value.value


def test_headers_key_and_timestamp_count_where_the_file_asks_for_them() -> None:
    scene = planned(
        event='"$record".headers.ce_type',
        id='"$record".headers.ce_id',
        time='"$record".timestamp',
        aliases={"user": '"$record".key'},
        headers=("ce_type", "ce_id"),
        key=True,
    )
    headers = {"ce_type": b"project.created", "ce_id": b"c-1", "authorization": b"Bearer secret"}

    scene.receive([record({"a": 1}, key=b"ada", headers=headers)])

    [event] = scene.events
    assert event.occurred_at == NOW - 1_000
    assert [(one.type, one.value) for one in event.aliases] == [(AliasType.USER, "ada")]
    assert not [one for one in scene.world.durable if b"secret" in one.value]


def test_headers_and_key_stay_where_they_are_unless_the_file_asks() -> None:
    scene = planned()
    scene.receive(
        [
            record(
                {"type": "project.created", "user": "u"}, key=b"ada@x.test", headers={"mail": b"m"}
            )
        ]
    )
    assert len(scene.events) == 1
    [raw] = scene.raw
    assert set(raw.headers) == {"x-kafka-place"}


@pytest.mark.parametrize(
    ("given", "occurred"),
    [
        ("2026-01-05T01:00:00+01:00", NOW),
        (NOW // 1000, NOW),
        (NOW, NOW),
        (NOW / 1000, NOW),
        (True, None),
        ({"a": 1}, None),
        (-1, None),
        (1e300, None),
        ("yesterday", None),
    ],
)
def test_times_are_iso_or_seconds_or_milliseconds(given: Any, occurred: int | None) -> None:
    scene = planned(time="at")
    scene.receive([record({"type": "project.created", "user": "u", "at": given})])
    [event] = scene.events
    assert event.timed is (occurred is not None)
    assert event.occurred_at == (NOW if occurred is None else occurred)


def test_a_large_record_is_stored_packed() -> None:
    scene = Scene()
    scene.receive([record({**PROJECT, "filler": "x" * 2_000_000})])
    [raw] = scene.raw
    assert raw.encoding == "gzip"
    assert gzip.decompress(base64.b64decode(raw.body)).startswith(b'{"event_id"')


def test_a_source_is_no_webhook() -> None:
    sender: TopicSender = topic_senders(PLAN)["company_events"]
    with pytest.raises(RefusedError) as refused:
        sender.verify(sender.request(record(PROJECT)), b"", [b"secret"], NOW)
    assert refused.value.status == 404
    with pytest.raises(ValueError, match="Produce records to it"):
        sender.sign(sender.request(record(PROJECT)), b"secret", NOW)


def suppress(scene: Scene, alias_type: AliasType, value: str) -> None:
    alias = scene.world.fragments.alias(alias_type, value)
    assert alias is not None
    scene.world.suppressed = frozenset({alias.fragment})


def test_of_a_suppressed_person_nothing_is_taken_and_nothing_is_kept() -> None:
    scene = Scene()
    suppress(scene, AliasType.EMAIL, "ada@acme.test")
    taken = scene.receive([record(PROJECT)])
    assert (taken.accepted, taken.withheld) == (0, {"suppressed": 1})
    assert not scene.world.durable
    assert scene.world.counts["events_withheld:suppressed"] == 1


def test_what_is_left_of_a_record_maps_again_to_the_same_events() -> None:
    """Given a record of two persons, of whom one is suppressed, then the other's event is taken,
    and the raw body holds it alone, in its place."""
    scene = planned(aliases={"user": "user"}, headers=("mail",), key=True)
    suppress(scene, AliasType.USER, "ada")
    both = [{"type": "project.created", "user": who} for who in ("ada", "bob")]
    scene.receive([record(both, key=b"ada", headers={"mail": b"ada"})])

    [event] = scene.events
    assert event.raw.index == 1
    [raw] = scene.raw
    assert b"ada" not in base64.b64decode(raw.body)
    assert set(raw.headers) == {"x-kafka-place"}
    again = reports_of(scene.source, raw)
    assert [one.id for one in again] == [f"{TOPIC}-3-7-0", f"{TOPIC}-3-7-1"]
    assert scene.receive([]).accepted == 0


@pytest.mark.parametrize(
    "places",
    [
        {"account": '"$record".headers.tenant'},
        {"id": '"$record".key'},
        {"time": '"$record".headers.tenant'},
        {"aliases": {"user": "user", "anonymous": '"$record".key'}},
    ],
)
def test_what_would_be_counted_elsewhere_without_its_headers_is_not_kept(
    places: dict[str, Any],
) -> None:
    """Given a record of two persons whose headers or key say where it counts, and one of them
    suppressed, then the other's event is taken, and nothing is kept that would map differently."""
    scene = planned(**{"aliases": {"user": "user"}, **places}, headers=("tenant",), key=True)
    suppress(scene, AliasType.USER, "ada")
    both = [{"type": "project.created", "user": who} for who in ("ada", "bob")]
    tenant = b"2026-01-05T00:00:00Z"
    scene.receive([record(both, key=b"k-1", headers={"tenant": tenant})])

    assert len(scene.events) == 1
    assert not scene.raw


def test_while_it_is_not_known_who_is_suppressed_the_batch_comes_again() -> None:
    scene = Scene()
    scene.world.suppressed = None
    with pytest.raises(UnavailableError):
        scene.receive([record(PROJECT)])
    assert not scene.world.durable


def test_what_the_plan_ignores_is_counted_by_its_source() -> None:
    scene = planned()
    taken = scene.receive([record({"type": "heartbeat", "user": "u"})])
    assert (taken.accepted, taken.ignored) == (0, {"other": 1})
    assert not scene.quarantined
    assert len(scene.raw) == 1


def test_replay_and_repair_know_the_sources() -> None:
    assert isinstance(compose.senders()["company_events"], TopicSender)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from([*PROJECT])


@given(
    st.binary(max_size=60)
    | st.dictionaries(FIELDS, JSON).map(lambda some: {**PROJECT, **some})
    | JSON
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_record_holds_ends_as_an_event_or_aside(value: Any) -> None:
    """Given anything at all in a record, then nothing raises, everything is accounted for, and the
    second time is as the first."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    one, two = Scene(), Scene()
    taken = one.receive([record(body)])
    two.receive([record(body)])

    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    expected = len(said) if isinstance(said, list) else 1
    assert taken.accepted + taken.quarantined.total() == expected
    assert one.world.durable == two.world.durable
