"""`desireline quarantine` against the API's use case, with requests and signatures over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from typer.testing import CliRunner

from desireline.errors import TerminalError
from desireline.recover.quarantine.cases import State
from desireline.recover.quarantine.index_quarantine import DAY
from desireline.recover.quarantine.request import QuarantineRequest
from desireline.resources import TRACKING_PLAN
from desireline_operate import quarantine_client
from desireline_operate.cli import quarantine
from desireline_operate.cli.main import app
from desireline_operate.cli.times import format_time
from desireline_operate.deployment import Deployment
from desireline_operate.quarantine_client import (
    InvalidQuarantineRequestError,
    QuarantineApiError,
    QuarantineClient,
    plan_files,
)
from tests.worlds import quarantine_api
from tests.worlds.quarantine_api import Api
from tests.worlds.receiving import NOW, track
from tests.worlds.repairing import Scene, tea

SEGMENT = "senders/segment.yaml"
MAPPING = (
    "  - {call: track, event: Tea Drunk, as: feature_used,"
    " properties: {feature_name: properties.kind}}\n"
)
ALL = QuarantineRequest(since=NOW - DAY, until=NOW + DAY)
TIMES = ("--since", f"{format_time(NOW - DAY)}", "--until", f"{format_time(NOW + DAY)}")


@pytest.fixture
def scene() -> Scene:
    """Seven cases that a mapping repairs, one that still fails, and one of another name."""
    calls = [*(tea(number) for number in range(7)), tea(7, properties={})]
    return Scene(*calls, track(8, event="Coffee, black & 100 % +"))


@pytest.fixture
def api(scene: Scene) -> Iterator[Api]:
    with quarantine_api.running(quarantine_api.serve(scene)) as running:
        yield running


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """A folder with the one file of the plan that is corrected."""
    file = tmp_path / SEGMENT
    file.parent.mkdir()
    file.write_text((TRACKING_PLAN / SEGMENT).read_text().rstrip() + "\n" + MAPPING)
    return tmp_path


@pytest.fixture
def run(api: Api, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setattr(quarantine, "the_deployment", lambda _: api.deployment())
    return command


def command(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["quarantine", *words], env={"COLUMNS": "200", "TERM": "dumb"})
    return done.exit_code, done.output


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_client, "LIST_PART", 2)
    monkeypatch.setattr(quarantine_client, "REPAIR_PART", 2)


def test_the_command_lists_shows_repairs_and_replays_with_ssm_and_the_api_only(
    api, run, scene, corrected, monkeypatch
):
    """Given an operator who may read one parameter and call the API, when parts have two cases,
    then all commands do the whole work, and the second replay skips what the first one did."""
    small_parts(monkeypatch)
    code, listed = run("list", "--limit", "5", "--json", "--event", "Tea Drunk", *TIMES)
    answer = json.loads(listed)
    assert (code, len(answer["cases"]), answer["groups"][0]["total"]) == (0, 5, 8)
    assert answer["cases"] == [
        case for case in json.loads(run("list", "--json", *TIMES)[1])["cases"]
        if case["event_name"] == "Tea Drunk"
    ][:5]  # fmt: skip
    assert len(api.requests) == 3 + 5

    code, text = run("list", "--event", "Tea Drunk", *TIMES)
    assert code == 0
    assert text.split()[:9] == [
        *("source", "component", "reason", "event", "total", "repaired", "last"),
        *("segment", "receive"),
    ]

    code, shown = run("show", answer["cases"][0]["id"], "--json")
    assert (code, json.loads(shown)["seen"]["event"]) == (0, "Tea Drunk")

    plan = ("--plan", str(corrected), *TIMES)
    code, repaired = run("repair", *plan)
    assert code == 0
    assert '  + feature_used {"feature_name":"green"}' in repaired
    assert repaired.endswith("7 of 9 cases are repaired, 2 still fail.\n")
    assert len(json.loads(run("repair", "--json", "--limit", "3", *plan)[1])) == 3

    assert "7 of 9 cases can be replayed. Add --go" in run("replay", *plan)[1]
    assert scene.replayed() == []
    code, replayed = run("replay", "--go", *plan)
    assert (code, replayed.splitlines()) == (
        0,
        [
            "Replayed 7 cases, marked repair-000000000001.",
            "1 cases still fail: parameter_missing",
            "1 cases still fail: unmapped",
        ],
    )
    assert len(scene.replayed()) == 7
    assert {case.replayed for case in scene.all(state=State.REPAIRED)} == {"repair-000000000001"}

    ids = [case.id for case in scene.all(state=State.REPAIRED)]
    assert run("replay", *ids, "--plan", str(corrected), "--go")[1].splitlines() == [
        "Replayed 0 cases.",
        "Skipped 7 cases that an earlier replay has replayed.",
    ]
    assert run("replay", "--source", "stripe", "--go")[1] == "No cases to replay.\n"


def test_names_reach_the_api_as_senders_write_them(run):
    code, listed = run("list", "--json", "--event", "Coffee, black & 100 % +", *TIMES)
    (case,) = json.loads(listed)["cases"]
    assert (code, case["event_name"]) == (0, "Coffee, black & 100 % +")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "[/x]"], "unknown case: [/x]. List the ids with"),
        (["show", "nothing-0"], "unknown case: nothing-0. List the ids with"),
        (["repair", "nothing-0"], "unknown case: nothing-0."),
        (["replay", "nothing-0", "--go"], "unknown case: nothing-0."),
    ],
)
def test_a_persons_mistake_ends_with_2(run, words, message):
    code, text = run(*words)
    assert code == 2
    assert text.startswith(f"desireline: {message}")


def test_an_invalid_plan_ends_with_2_and_what_is_wrong_in_it(run, tmp_path):
    assert run("repair", "--plan", str(tmp_path)) == (
        2,
        f"desireline: {tmp_path} has no file of a plan: it must have plan.yaml, "
        "events/<name>.yaml or senders/<name>.yaml\n",
    )
    (tmp_path / "senders").mkdir()
    (tmp_path / SEGMENT).write_text("sender: [not closed")
    code, text = run("repair", "--plan", str(tmp_path), *TIMES)
    assert code == 2
    assert text.startswith("desireline: invalid_plan: ")


def test_all_files_of_a_plan_and_nothing_else_are_sent(tmp_path):
    files = plan_files(TRACKING_PLAN)
    assert set(files) == {path.relative_to(TRACKING_PLAN).as_posix()
                          for path in TRACKING_PLAN.rglob("*.yaml")}  # fmt: skip
    (tmp_path / "plan.yaml").write_bytes(b"\xff")
    with pytest.raises(InvalidQuarantineRequestError, match="must be UTF-8"):
        plan_files(tmp_path)


def test_another_caller_is_refused_and_the_missing_right_is_named(api):
    client = QuarantineClient(api.deployment(Credentials("caller", "another secret")))
    with pytest.raises(QuarantineApiError) as refused:
        client.show("raw-0")
    assert "allow the action execute-api:Invoke on arn:aws:execute-api:eu-central-1:*:127/*" in str(
        refused.value
    )
    assert api.requests == []


def test_without_credentials_nothing_is_sent(api):
    client = QuarantineClient(api.deployment(None))
    with pytest.raises(QuarantineApiError, match="no AWS credentials: set AWS_PROFILE"):
        client.show("raw-0")


def test_an_unreachable_api_is_named_with_what_to_check(api):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/quarantine"
        client = QuarantineClient(api.deployment(url=url))
        with pytest.raises(QuarantineApiError) as error:
            client.show("raw-0")
    assert str(error.value).startswith(f"the quarantine API at {url} does not answer")


def test_a_missing_address_names_the_stack_and_the_right(api, monkeypatch):
    def missing(_: Deployment) -> str:
        raise TerminalError("ParameterNotFound", "")

    monkeypatch.setattr(Deployment, "quarantine_url", missing)
    with pytest.raises(QuarantineApiError, match="ssm:GetParameter on /desireline/d/quarantine"):
        QuarantineClient(api.deployment())


@pytest.mark.parametrize(
    ("status", "content", "error", "message"),
    [
        (404, {"message": "Not Found"}, QuarantineApiError, "is not the quarantine API: deploy"),
        (413, {"message": "Too Large"}, InvalidQuarantineRequestError, "changed files only"),
        (400, {"reason": "invalid_plan", "detail": "x"}, InvalidQuarantineRequestError, "plan: x"),
        (503, {"reason": "unavailable", "detail": "KafkaError"}, QuarantineApiError, "503 Kafka"),
        (500, {"message": "Internal Server Error"}, QuarantineApiError, "Run the command again"),
        (200, ["a page"], QuarantineApiError, "check its address"),
    ],
)
def test_each_answer_says_what_to_do(status, content, error, message):
    with quarantine_api.running(lambda *_: (status, content)) as running:
        client = QuarantineClient(running.deployment())
        with pytest.raises(error, match=message):
            [*client.preview([], ALL, 10, {})]


def test_a_throttled_request_is_sent_again_a_few_times():
    waits: list[float] = []
    answers: list[tuple[int, Any]] = [(429, {"message": "Too Many Requests"})] * 2
    with quarantine_api.running(lambda *_: answers.pop(0)) as running:
        client = QuarantineClient(running.deployment(), sleep=waits.append)
        answers.append((200, {"case": {}}))
        assert client.show("raw-0") == {"case": {}}
        assert waits == [1.0, 2.0]
        answers += [(429, {})] * 9
        with pytest.raises(QuarantineApiError, match="throttles its callers"):
            client.show("raw-0")
    assert waits == [1.0, 2.0, *quarantine_client.THROTTLE_WAITS]
    assert len(running.requests) == 3 + 5
