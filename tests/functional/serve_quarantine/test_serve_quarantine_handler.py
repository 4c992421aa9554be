"""serve_quarantine's shell: HTTP API events in, JSON and status codes out."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest

from desireline.contracts import Header, Topic
from desireline.receive.senders import load_senders
from desireline.recover.quarantine.cases import State
from desireline.recover.quarantine.serve_quarantine import ServeQuarantine
from desireline.resources import TRACKING_PLAN
from serve_quarantine import handler
from tests.functional.lambda_side import Context
from tests.worlds.receiving import PLAN, track
from tests.worlds.repairing import Scene, mapping, tea

SEGMENT = "senders/segment.yaml"
MAPPED = (
    (TRACKING_PLAN / SEGMENT).read_text().rstrip()
    + "\n  - {call: track, event: Tea Drunk, as: feature_used,"
    + " properties: {feature_name: properties.kind}}\n"
)

UNKNOWN = {"reason": "unknown_case", "detail": "nothing-0"}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tea(1), track(2), track(3, event="Coffee Drunk"))
    serve(monkeypatch, made, name="repair-000000000001")
    return made


def serve(monkeypatch: pytest.MonkeyPatch, made: Scene, name: str = "repair-0") -> None:
    use_case = ServeQuarantine(
        cases=made.cases,
        bodies=made.bodies,
        senders=load_senders(),
        mapper=mapping,
        plan=PLAN,
        producer=made.world,
        wall=made.world,
        name=lambda: name,
    )
    monkeypatch.setattr(handler, "use_case", lambda: use_case)


def called(method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "queryStringParameters": query or None,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "requestId": "r",
        },
        "body": body if isinstance(body, str) else orjson.dumps(body).decode(),
        "isBase64Encoded": False,
    }
    answer = handler.handle(event, cast(Any, Context()))
    return answer["statusCode"], orjson.loads(answer["body"])


def test_cases_are_listed_with_counts_by_kind(scene):
    status, said = called("GET", "/quarantine", reason="unmapped,other", limit="1")
    assert status == 200
    assert [(one["event"], one["total"]) for one in said["groups"]] == [
        ("Coffee Drunk", 1),
        ("Tea Drunk", 1),
    ]
    assert len(said["cases"]) == 1
    assert said["cases"][0]["state"] == "open"
    nothing = {"groups": [], "cases": []}
    assert called("GET", "/quarantine", source="stripe")[1] == nothing


def test_a_name_with_a_comma_is_one_name(monkeypatch):
    made = Scene(track(1, event="Tea, Drunk"), track(2, event="Tea"))
    serve(monkeypatch, made)
    status, said = called("GET", "/quarantine", event='["Tea, Drunk", "Coffee"]')
    assert (status, [one["event_name"] for one in said["cases"]]) == (200, ["Tea, Drunk"])


def test_a_list_is_read_in_parts_that_hold_each_case_once(monkeypatch):
    """Given 7 cases, some of which arrived at once, when a list is read by twos, then each case
    comes once, newest first, and only the first part has counts."""
    made = Scene(*(tea(number) for number in range(7)))
    serve(monkeypatch, made)
    parts, after = [], {}
    while True:
        status, said = called("GET", "/quarantine", limit="2", **after)
        assert status == 200
        assert bool(said["groups"]) is not bool(after)
        parts.append([case["id"] for case in said["cases"]])
        if "next" not in said:
            break
        after = {"after": said["next"]}

    assert [len(part) for part in parts] == [2, 2, 2, 1]
    assert [one for part in parts for one in part] == [case.id for case in made.all()]


def test_previews_and_replays_go_on_after_cases_that_still_fail(monkeypatch):
    """Given two cases that still fail and one that is repaired, when they are replayed one by one,
    then the failing ones do not hold up the last one, and all replays have one id."""
    made = Scene(tea(1, properties={}), tea(2, properties={}), tea(3))
    serve(monkeypatch, made, name="repair-000000000001")
    asked = {"plan": {SEGMENT: MAPPED}, "limit": 1}

    def in_parts(path: str) -> list[Any]:
        answers = [called("POST", path, asked)[1]]
        while "next" in answers[-1]:
            more = {"after": answers[-1]["next"], "replay": answers[-1].get("replay")}
            answers.append(called("POST", path, asked | more)[1])
        return answers

    assert [one["repaired"] for one in in_parts("/quarantine/preview")] == [0, 0, 1]
    replays = in_parts("/quarantine/replay")
    assert [one["replayed"] for one in replays] == [0, 0, 1]
    assert {one["replay"] for one in replays} == {"repair-000000000001"}
    assert {case.replayed for case in made.all(state=State.REPAIRED)} == {"repair-000000000001"}


def test_a_case_is_shown_with_its_body_and_its_place_in_the_plan(scene):
    (case,) = [one for one in scene.all() if one.event_name == "Tea Drunk"]
    status, said = called("GET", f"/quarantine/{case.id}")
    assert status == 200
    assert said["seen"]["properties"] == {"kind": "green"}
    assert said["place"]["file"] == SEGMENT
    assert "batch" in orjson.loads(said["body"])
    assert called("GET", "/quarantine/nothing-0") == (404, UNKNOWN)


@pytest.mark.parametrize("path", ["/quarantine/preview", "/quarantine/replay"])
def test_an_id_without_a_case_is_404_and_nothing_is_replayed(scene, path):
    ids = [*(case.id for case in scene.all()), "nothing-0"]
    assert called("POST", path, {"ids": ids, "plan": {SEGMENT: MAPPED}}) == (404, UNKNOWN)
    assert scene.replayed() == []


def test_a_correction_is_previewed_replayed_once_and_listed_as_repaired(scene):
    asked = {"event": ["Tea Drunk"], "plan": {SEGMENT: MAPPED}}

    status, said = called("POST", "/quarantine/preview", asked)
    assert (status, said["repaired"], said["failing"]) == (200, 1, 0)
    assert said["cases"][0]["before"]["reason"] == "unmapped"
    assert said["cases"][0]["after"]["events"][0]["name"] == "feature_used"
    assert scene.replayed() == []

    status, said = called("POST", "/quarantine/replay", asked)
    assert (status, said["replayed"], said["replay"]) == (200, 1, "repair-000000000001")
    (record,) = scene.replayed()
    assert (record.topic, record.headers[Header.REPLAY]) == (
        Topic.EVENTS_RECEIVED,
        b"repair-000000000001",
    )

    assert called("POST", "/quarantine/replay", asked)[1]["replayed"] == 0
    ids = {**asked, "ids": [one.id for one in scene.all(state=None)]}
    again = called("POST", "/quarantine/replay", ids)[1]
    assert (again["replayed"], again["already"], again["failing"]) == (0, 1, {"unmapped": 1})
    assert len(scene.replayed()) == 1
    repaired = called("GET", "/quarantine", state="repaired")[1]
    assert [one["replayed"] for one in repaired["cases"]] == ["repair-000000000001"]


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "/quarantine", None, {"limit": "0"}),
        ("GET", "/quarantine", None, {"limit": "many"}),
        ("GET", "/quarantine", None, {"colour": "red"}),
        ("GET", "/quarantine", None, {"state": "lost"}),
        ("GET", "/quarantine", None, {"limit": "501"}),
        ("GET", "/quarantine", None, {"limit": "1,2"}),
        ("GET", "/quarantine", None, {"event": "[not JSON"}),
        ("GET", "/quarantine", None, {"after": "yesterday"}),
        ("POST", "/quarantine/preview", {"after": 12}, {}),
        ("POST", "/quarantine/replay", {"replay": "replay-1"}, {}),
        ("POST", "/quarantine/preview", "not JSON", {}),
        ("POST", "/quarantine/preview", "[1]", {}),
        ("POST", "/quarantine/replay", {"since": "yesterday"}, {}),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_a_reason(scene, method, path, body, query):
    status, said = called(method, path, body, **query)
    assert (status, said["reason"]) == (400, "invalid_request")
    assert scene.replayed() == []


@pytest.mark.parametrize(
    "plan",
    [
        {"../../etc/passwd": "x"},
        {"senders/../plan.yaml": "x"},
        {SEGMENT: "sender: [not closed"},
        {SEGMENT: "sender: segment\nmappings:\n  - {call: track, as: nothing_planned}\n"},
        {SEGMENT: "sender: segment\nmappings:\n  - {call: track, as: logged_in, where: 'a ||'}\n"},
        {SEGMENT: "just text"},
    ],
)
def test_a_plan_that_is_none_is_refused_with_a_reason(scene, plan):
    status, said = called("POST", "/quarantine/preview", {"plan": plan})
    assert (status, said["reason"]) == (400, "invalid_plan")
    assert said["detail"]


def test_a_broker_that_is_away_is_503_and_nothing_is_marked(scene):
    scene.world.broken = True
    status, said = called("POST", "/quarantine/replay", {"plan": {SEGMENT: MAPPED}})
    assert (status, said["reason"]) == (503, "unavailable")
    assert all(case.replayed is None for case in scene.all())


def test_what_is_no_route_is_404(scene):
    assert called("GET", "/elsewhere")[0] == 404
