"""Mixpanel's exported events: whose they are, when they were, and which are the same."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from desireline.events import AliasType, CanonicalEvent, RawWebhook
from desireline.receive.mapping.event_mapper import reports_of
from desireline.receive.request import WebhookRequest
from desireline.receive.senders import mixpanel_export
from desireline.receive.senders.sender import WITHHELD, SenderReport
from tests.worlds.receiving import NOW, SECRET, World

UTC, PACIFIC = ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")
USER, ANONYMOUS = AliasType.USER, AliasType.ANONYMOUS
COOKIE = "13bbf7943e584-0885c2531-5c793977-3e8000-13bbf7943e64cf"
UUID = "0fe9b3a8-52bc-4a91-b4a6-7e50e4ab2c11"


def event(name: str = "Project Created", **properties: Any) -> dict[str, Any]:
    given = {"time": NOW // 1000 - 60, "$insert_id": "i1", **properties}
    return {"event": name, "properties": given}


def taken_apart(message: Any, zone: ZoneInfo = UTC, account: str = "") -> SenderReport:
    return mixpanel_export.to_report(message, zone=zone, account_property=account)


def whose(message: Any) -> list[tuple[AliasType, object]]:
    return [alias for alias in taken_apart(message).aliases if alias[1] is not None]


def posted(*lines: dict[str, Any] | bytes, **headers: str) -> WebhookRequest:
    body = b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in lines)
    request = WebhookRequest("mixpanel_export", headers, body)
    signed = mixpanel_export.SENDER.sign(request, SECRET, NOW)
    return WebhookRequest("mixpanel_export", {**headers, **signed}, body)


@pytest.mark.parametrize(
    ("properties", "aliases"),
    [
        ({"$user_id": "u", "$device_id": "d", "distinct_id": "u"}, [(USER, "u"), (ANONYMOUS, "d")]),
        ({"$device_id": "d", "distinct_id": "$device:d"}, [(ANONYMOUS, "d")]),
        ({"distinct_id": "$device:d"}, [(ANONYMOUS, "d")]),
        ({"distinct_id": UUID}, [(ANONYMOUS, UUID)]),
        ({"distinct_id": COOKIE}, [(ANONYMOUS, COOKIE)]),
        ({"distinct_id": "ada"}, [(USER, "ada")]),
        ({}, []),
    ],
)
def test_an_event_is_whose_it_says(
    properties: dict[str, Any], aliases: list[tuple[AliasType, object]]
) -> None:
    assert whose(event(**properties)) == aliases


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            event(**{"$device_id": "d", "distinct_id": "$device:d"}),
            event(**{"$device_id": "d", "distinct_id": "ada"}),
        ),
        (
            event(distinct_id="$device:d"),
            event(**{"distinct_id": "ada", "$distinct_id_before_identity": "$device:d"}),
        ),
        (
            event(**{"distinct_id": UUID, "$insert_id": None, "mp_processing_time_ms": 1}),
            event(
                **{
                    "distinct_id": "ada",
                    "$distinct_id_before_identity": UUID,
                    "$insert_id": None,
                    "mp_processing_time_ms": 2,
                }
            ),
        ),
    ],
)
def test_what_mixpanel_learns_later_changes_neither_id_nor_fragment(
    before: Any, after: Any
) -> None:
    """Given an event that was pulled before its visitor was known, when it is pulled again, then it
    is the same event of the same fragment: else it would be counted again."""
    one, two = World(), World()
    one.receive(posted(before))
    two.receive(posted(after))
    [first], [second] = one.events(), two.events()
    assert (first.event_id, first.fragment) == (second.event_id, second.fragment)


@pytest.mark.parametrize(
    ("message", "aliases"),
    [
        (
            event("$identify", **{"$identified_id": "ada", "$anon_id": "d", "distinct_id": "ada"}),
            [(USER, "ada"), (ANONYMOUS, "d")],
        ),
        (event("$create_alias", alias="ada", distinct_id=UUID), [(USER, "ada"), (ANONYMOUS, UUID)]),
        (event("$merge", **{"$distinct_ids": [UUID, "ada"]}), [(ANONYMOUS, UUID), (USER, "ada")]),
        (event("$merge", **{"$distinct_ids": "ada"}), []),
    ],
)  # fmt: skip
def test_the_events_of_identity_link(message: Any, aliases: list[tuple[AliasType, object]]) -> None:
    assert whose(message) == aliases


def test_times_are_the_projects_as_if_they_were_utc() -> None:
    """1765970000 reads 2025-12-17 11:13:20; in Los Angeles that is eight hours later in UTC."""
    message = event(time=1_765_970_000)
    assert taken_apart(message, UTC).occurred_at == 1_765_970_000_000
    assert taken_apart(message, PACIFIC).occurred_at == 1_765_970_000_000 + 8 * 3_600_000
    summer = event(time=1_750_000_000)
    assert taken_apart(summer, PACIFIC).occurred_at == 1_750_000_000_000 + 7 * 3_600_000


@pytest.mark.parametrize("time", [None, "1765970000", True, float("inf"), -5, 10**20])
def test_a_time_that_is_none_is_none(time: object) -> None:
    assert taken_apart(event(time=time)).occurred_at is None


def test_events_differ_by_name_time_and_insert_id() -> None:
    ids = {
        taken_apart(one).id
        for one in (
            event(),
            event("Task Created"),
            event(time=NOW // 1000),
            event(**{"$insert_id": "i2"}),
        )
    }
    assert len(ids) == 4
    assert taken_apart(event(extra=1)).id in ids


def test_the_account_is_that_of_the_configured_property() -> None:
    message = event(company_id=["acme", "other"], distinct_id="ada")
    assert [key for key, _ in taken_apart(message, account="company_id").accounts] == ["group:acme"]
    assert taken_apart(message).accounts == ()
    assert taken_apart(event(company_id={"a": 1}), account="company_id").accounts == ()


def test_a_line_that_is_no_event_is_set_aside_and_stops_no_other() -> None:
    world = World()
    answer = world.receive(posted(b"\xff no json", b"[1]", event(distinct_id="ada")))
    assert (answer.status, answer.accepted, answer.quarantined) == (200, 1, 2)
    assert {one.reason for one in world.quarantined()} == {"unmapped"}
    assert [one.raw.index for one in world.quarantined() if one.raw] == [0, 1]


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-desireline-time-zone", "UTC"), ("x-desireline-account-property", "plan")],
)
def test_what_decides_the_mapping_is_signed(header: str, value: str) -> None:
    signed = posted(event(distinct_id="ada"), **{"x-desireline-time-zone": "Asia/Tokyo"})
    changed = WebhookRequest(signed.source, {**signed.headers, header: value}, signed.body)
    assert World().receive(changed).status == 401


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "../../etc/passwd", "", "\x00"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    signed = posted(event(distinct_id="ada"), **{"x-desireline-time-zone": zone})
    assert World().receive(signed).status == 400


def test_the_raw_body_keeps_what_it_takes_to_map_it_again() -> None:
    world = World()
    world.receive(posted(event(distinct_id="ada"), **{"x-desireline-time-zone": "Asia/Tokyo"}))
    [raw] = [orjson.loads(one.value) for one in world.durable if one.topic == "webhooks.raw"]
    assert raw["headers"] == {"x-desireline-time-zone": "Asia/Tokyo"}
    [got] = world.events()
    assert isinstance(got, CanonicalEvent)
    assert got.occurred_at == (NOW // 1000 - 60) * 1000 - 9 * 3_600_000


def test_what_is_left_of_a_raw_body_maps_again_to_the_same_events() -> None:
    """Given lines of two persons, of whom one is suppressed, then the raw body holds the other's
    alone, in its place."""
    world = World()
    ada = world.fragments.alias(USER, "ada")
    assert ada
    world.suppressed = frozenset({ada.fragment})
    lines = [event(distinct_id="ada"), event(distinct_id="bob", **{"$insert_id": "i2"})]
    answer = world.receive(posted(*lines))
    assert (answer.accepted, answer.withheld) == (1, 1)
    [raw] = [RawWebhook.decode(one.value) for one in world.durable if one.topic == "webhooks.raw"]
    again = reports_of(mixpanel_export.SENDER, raw)
    assert len(again) == 2
    assert again[1] == taken_apart(lines[1])
    assert again[0].message == WITHHELD
