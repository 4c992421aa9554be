"""Quarantine, repair and replay on the running local cloud, by the command and by the API."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from desireline.contracts import Table
from desireline.resources import TRACKING_PLAN
from desireline.rows import (
    AccountRow,
    ClaimRow,
    EnrolmentRow,
    JourneyRow,
    PersonRow,
    StateRow,
    SubjectRow,
)
from desireline_local import supervisor
from desireline_local.aws.cloud import REGION
from desireline_local.cloud import Addresses
from desireline_local.demo.ledger import all_rows
from desireline_local.demo.world import CloudWorld
from desireline_local.sender_side.signing import sign
from desireline_operate import compose

DESIRELINE = Path(sys.executable).with_name("desireline")
pytestmark = [
    pytest.mark.e2e,
    # The tables are looked at by clients whose connections live as long as this process.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
DAY = 86_400_000
PATIENCE = 600.0
SEGMENT = "senders/segment.yaml"
MAPPINGS = (
    "  - {call: track, event: Tea Drunk, as: feature_used,"
    " properties: {feature_name: properties.kind}}\n"
    "  - {call: track, event: Coffee Drunk, as: onboarding_step_completed,"
    " properties: {step_name: properties.kind}}\n"
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Addresses]:
    """A cloud of its own, as `desireline up` starts it."""
    started = subprocess.run(
        [str(DESIRELINE), "up"], capture_output=True, text=True, timeout=1_800, check=False
    )
    assert started.returncode == 0, started.stderr[-3000:]
    try:
        yield supervisor.running().addresses
    finally:
        supervisor.end()


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployed plan with two mappings more: each test has an event of its own."""
    folder = tmp_path_factory.mktemp("corrected") / "plan"
    shutil.copytree(TRACKING_PLAN, folder)
    file = folder / SEGMENT
    file.write_text(file.read_text().rstrip() + "\n" + MAPPINGS)
    return folder


class Signed(httpx.Auth):
    """Signature version 4, as a caller on AWS signs."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        signed = AWSRequest(request.method, str(request.url), data=request.content)
        SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        yield request


def desireline(*words: str) -> str:
    done = subprocess.run(
        [str(DESIRELINE), *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def quarantine(*words: str) -> Any:
    return json.loads(desireline("quarantine", *words, "--json"))


def now() -> int:
    return time.time_ns() // 1_000_000


def call(number: int, name: str, at: int, **fields: Any) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at / 1000))
    return {
        "type": "track",
        "messageId": f"q-{number}",
        "timestamp": f"{moment}.{at % 1000:03d}Z",
        "userId": f"tea-{number % 3}",
        "event": name,
        "properties": {"kind": "green", "project_name": "one", "feature_name": "board"},
        "context": {"groupId": f"house-{number % 3}"},
        **fields,
    }


def post(cloud: Addresses, *calls: dict[str, Any]) -> dict[str, Any]:
    """As Segment does: again while it is told that it is not taken now."""
    body = orjson.dumps(calls[0] if len(calls) == 1 else {"batch": list(calls)})
    headers = sign("segment", body, cloud.secret("segment"), now())
    url, end = f"{cloud.webhooks}/segment", time.monotonic() + PATIENCE
    while (
        answer := httpx.post(url, content=body, headers=headers, timeout=120)
    ).status_code == 503:
        assert time.monotonic() < end, answer.text
        time.sleep(0.3)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def settle(cloud: Addresses) -> None:
    with CloudWorld(cloud) as world:
        world.settle()


def waiting(found: Any, wanted: Any) -> None:
    """Until it is found: what was posted is indexed some moments later."""
    end = time.monotonic() + PATIENCE
    while (seen := found()) != wanted:
        assert time.monotonic() < end, f"{seen}, not {wanted}"
        time.sleep(0.2)


def open_cases(event: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = quarantine("list", "--event", event, "--state", "open")["cases"]
    return found


def counted(cloud: Addresses, event: str) -> tuple[int, dict[int, int]]:
    """How often an event was counted, and on which days."""
    rows = [row for row in all_rows(cloud, Table.STATES) if isinstance(row, StateRow)]
    days: Counter[int] = Counter()
    for row in rows:
        for day, counts in row.state.days.items():
            if counts.get(event):
                days[day] += counts[event]
    return sum(row.state.counts.get(event, 0) for row in rows), dict(days)


def stored(cloud: Addresses) -> dict[Any, Any]:
    """All that says what was counted, decided and sent."""
    tables = (Table.IDENTITY, Table.STATES, Table.JOURNEYS, Table.INTERVENTIONS)
    kept = (StateRow, PersonRow, SubjectRow, AccountRow, JourneyRow, EnrolmentRow, ClaimRow)
    return {
        row.ref: row for table in tables for row in all_rows(cloud, table) if isinstance(row, kept)
    }


def test_an_event_is_quarantined_repaired_replayed_and_counts_once_at_its_own_time(
    cloud: Addresses, corrected: Path
) -> None:
    """Given an event that no mapping takes, three days old, when a corrected mapping is previewed
    and the case is replayed, twice, then it is counted once, on its day, and the case is listed as
    repaired."""
    at = now() - 3 * DAY
    said = post(cloud, call(1, "Project Created", at), call(2, "Tea Drunk", at))
    assert (said["accepted"], said["quarantined"]) == (1, 1)
    waiting(lambda: len(open_cases("Tea Drunk")), 1)
    settle(cloud)
    (case,) = open_cases("Tea Drunk")

    shown = quarantine("show", case["id"])
    assert shown["seen"]["event"] == "Tea Drunk"
    assert shown["place"]["file"] == SEGMENT
    assert "Tea Drunk" in shown["body"]

    plan = ("--plan", str(corrected))
    (difference,) = quarantine("repair", case["id"], *plan)
    assert difference["before"]["reason"] == "unmapped"
    (event,) = difference["after"]["events"]
    assert (event["name"], event["occurred_at"]) == ("feature_used", at)
    assert counted(cloud, "feature_used") == (0, {})

    replay = ("quarantine", "replay", "--event", "Tea Drunk", *plan)
    assert "1 of 1 cases can be replayed" in desireline(*replay)
    done = desireline(*replay, "--go")
    assert "Replayed 1 cases" in done
    settle(cloud)
    assert counted(cloud, "feature_used") == (1, {at // DAY: 1})

    again = desireline("quarantine", "replay", case["id"], *plan, "--go")
    assert "Skipped 1 cases" in again
    settle(cloud)
    assert counted(cloud, "feature_used") == (1, {at // DAY: 1})
    listed = quarantine("list", "--event", "Tea Drunk")
    assert [(one["total"], one["repaired"]) for one in listed["groups"]] == [(1, 1)]
    assert [one["state"] for one in listed["cases"]] == ["repaired"]


def test_the_api_repairs_as_the_command_does(cloud: Addresses, corrected: Path) -> None:
    """The local API Gateway asks for a signature, and does not check it."""
    at = now() - DAY
    post(cloud, call(10, "Coffee Drunk", at), call(11, "Coffee Drunk", at, properties={}))
    waiting(lambda: len(open_cases("Coffee Drunk")), 2)
    before, _ = counted(cloud, "onboarding_step_completed")
    asked = {
        "event": ["Coffee Drunk"],
        "plan": {SEGMENT: corrected.joinpath(SEGMENT).read_text()},
    }

    assert httpx.get(cloud.quarantine, timeout=120).status_code == 403
    with httpx.Client(timeout=120, auth=Signed()) as http:
        listed = http.get(
            cloud.quarantine, params={"event": "Coffee Drunk", "state": "open"}
        ).json()
        shown = http.get(f"{cloud.quarantine}/{listed['cases'][0]['id']}").json()
        preview = http.post(f"{cloud.quarantine}/preview", json=asked).json()
        replayed = http.post(f"{cloud.quarantine}/replay", json=asked).json()
        unknown = http.get(f"{cloud.quarantine}/nothing-0")
        wrong = http.get(cloud.quarantine, params={"limit": "0"})
    settle(cloud)

    assert len(listed["cases"]) == 2
    assert shown["seen"]["call"] == "track"
    assert (preview["repaired"], preview["failing"]) == (1, 1)
    assert (replayed["replayed"], replayed["failing"]) == (1, {"parameter_missing": 1})
    assert (unknown.status_code, wrong.status_code) == (404, 400)
    assert counted(cloud, "onboarding_step_completed")[0] == before + 1
    assert len(open_cases("Coffee Drunk")) == 1


@pytest.mark.parametrize("origin", ["kafka", "archive"])
def test_a_replay_of_all_raw_webhooks_changes_no_count_and_sends_nothing(
    cloud: Addresses, origin: str
) -> None:
    """Given trials that have started playbooks, when everything is replayed, then what is counted,
    scored, enrolled and claimed is as it was."""
    at = now() - 60_000
    for number in range(20, 26):
        post(
            cloud,
            call(number, "Trial Started", at),
            call(number + 100, "Project Created", at + 1_000),
        )
    settle(cloud)
    before = stored(cloud)
    assert any(isinstance(row, EnrolmentRow) for row in before.values())
    if origin == "archive":
        wait_for_the_archive(cloud)

    dry = desireline("replay", "--from", origin)
    assert "Nothing was produced" in dry
    done = desireline("replay", "--from", origin, "--go")
    settle(cloud)

    assert "trial_signup" in done
    assert stored(cloud) == before


def wait_for_the_archive(cloud: Addresses) -> None:
    """Until it holds all that the topic does."""
    kafka, archive = (
        compose.raw_bodies(cloud.as_deployment(), archived=one) for one in (False, True)
    )

    def ids(bodies: Any) -> set[str]:
        return {raw.id for raw, _ in bodies.read(bodies.span(0, 2**45)) if raw is not None}

    waiting(lambda: ids(archive), ids(kafka))
