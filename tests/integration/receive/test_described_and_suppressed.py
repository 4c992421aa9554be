"""The running door: as its description says, and shut to those who are suppressed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from typer.testing import CliRunner

from bench.read_topic import read_topic
from desireline.contracts import Topic
from desireline_local import supervisor
from desireline_local.cloud import Addresses
from desireline_local.supervisor import Running
from desireline_operate.cli.main import app
from docs.render.openapi import description
from tests.integration.receive.conftest import SERVER_KEY, busy, patient, post

SCHEMA = schemathesis.openapi.from_dict(description())
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.include(method="POST").parametrize()
@FEW
def test_it_answers_as_described_to_whatever_comes(
    cloud: Addresses, case: schemathesis.Case
) -> None:
    def send() -> Any:
        return case.call(base_url=cloud.host, auth=(SERVER_KEY, ""), timeout=60)

    case.validate_response(patient(send, busy), checks=CHECKS)


@pytest.fixture
def command(cloud: Addresses, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`desireline` on this cloud."""
    monkeypatch.setattr("desireline_operate.deployment.running", cloud.as_deployment)
    monkeypatch.setattr(supervisor, "running", lambda: Running(pid=0, addresses=cloud))

    def run(*words: str) -> str:
        done = patient(
            lambda: CliRunner().invoke(app, list(words)), lambda it: " 503 " in it.output
        )
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.mark.slow
def test_the_running_function_withholds_who_was_suppressed_by_command(
    cloud: Addresses, command: Callable[..., str]
) -> None:
    """Given a command, then within a minute and a bit the running function takes nothing of that
    person any more, keeps nothing of them, and takes them again when they are removed."""
    said = command("suppress", "add", "user:suppressed-person", "--reason", "requested")
    assert "1 of 1" in said
    assert "requested" in command("suppress", "list")

    def send(number: int) -> dict[str, int]:
        call = {"messageId": f"s{number}", "userId": "suppressed-person", "event": "Report Viewed"}
        answer = post(f"{cloud.host}/v1/track", content=orjson.dumps(call), auth=(SERVER_KEY, ""))
        assert answer.status_code == 200
        found: dict[str, int] = answer.json()
        return found

    began, number = time.monotonic(), 0
    while (taken := send(number)).get("withheld") != 1 and time.monotonic() < began + 300:
        number += 1
        time.sleep(1)
    assert taken == {"accepted": 0, "quarantined": 0, "withheld": 1}
    # Whichever environment answers, it is so by now.
    before = len(read_topic(cloud.kafka, Topic.WEBHOOKS_RAW))
    time.sleep(max(0.0, began + 61 - time.monotonic()))
    assert all(send(1000 + i).get("withheld") == 1 for i in range(6))
    raw = read_topic(cloud.kafka, Topic.WEBHOOKS_RAW)
    assert len(raw) == before, "nothing of it is kept"

    assert "1 of 1" in command("suppress", "remove", "user:suppressed-person")
    assert "suppressed" in command("suppress", "list").lower()


def test_whose_data_hubspot_had_to_delete_is_suppressed_by_the_running_function(
    command: Callable[..., str], tmp_path: Path
) -> None:
    """Given HubSpot's word that a contact had to be deleted, then the function puts it on the
    list before it answers."""
    file = tmp_path / "deleted.json"
    deleted = {"subscriptionType": "contact.privacyDeletion", "objectId": 4711}
    file.write_bytes(orjson.dumps([{**deleted, "occurredAt": time.time_ns() // 1_000_000}]))

    assert '"withheld":1' in command("send", "hubspot", str(file))

    assert "hubspot" in command("suppress", "list")
    assert "1 of 1" in command("suppress", "remove", "crm:4711")
