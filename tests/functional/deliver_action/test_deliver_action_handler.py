"""deliver_action's shell: an SQS event in, a partial batch response out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from deliver_action import handler
from deliver_action.settings import CONNECT_TIMEOUT, LONGEST_INVOCATION_MS
from desireline.adapters import aws
from desireline.errors import ThrottledError
from desireline.events import ClaimReference
from desireline.intervene.deliver_action import DeliverAction
from desireline.rows import ClaimRow, ClaimState
from tests.functional.lambda_side import Context
from tests.worlds.intervening import ENTRY, HOUR, READ_TIMEOUT, TIMEOUT, Scene

CONFIGURATION = Path(__file__).parents[3] / "cdk.json"


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Two claims of a running enrolment."""
    scene = Scene()
    scene.enrol("s")
    for action in ("a", "b"):
        scene.put(
            ClaimRow(
                subject="s",
                playbook="integration_first",
                playbook_version=1,
                slot="once",
                step="x",
                action=action,
                enrolment="e1",
                channel="csm_alert",
                title=action,
                body="body",
                decided_at=ENTRY,
                not_after=ENTRY + HOUR,
            )
        )
    use_case = DeliverAction(
        store=scene.store,
        senders={"csm_alert": scene.provider},
        switches=scene.switches,
        clock=scene.clock,
        wall=scene.wall,
        metrics=scene.metrics,
        read_timeout_ms=READ_TIMEOUT,
        function_timeout_ms=TIMEOUT,
    )
    monkeypatch.setattr(handler, "use_case", lambda: use_case)
    return scene


def sqs(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"m{n}", "body": body, "eventSource": "aws:sqs"}
            for n, body in enumerate(bodies)
        ]
    }


def reference(action: str) -> str:
    found = ClaimReference(
        subject="s", playbook="integration_first", slot="once", step="x", action=action
    )
    return found.encode().decode()


def handle(event: dict[str, Any], context: Context | None = None) -> dict[str, Any]:
    return handler.handle(event, cast(Any, context or Context(TIMEOUT)))


def failures(*ids: str) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": one} for one in ids]}


def test_each_message_of_a_batch_is_delivered(scene: Scene) -> None:
    assert handle(sqs(reference("a"), reference("b"))) == failures()
    assert [alert.subject for alert in scene.provider.accepted] == ["a", "b"]


def test_only_what_is_to_come_again_stays_in_the_queue(scene: Scene) -> None:
    scene.provider.answers = [(False, ThrottledError("slow down"))]
    assert handle(sqs(reference("a"), reference("b"))) == failures("m0")
    assert [alert.subject for alert in scene.provider.accepted] == ["b"]


def test_what_nobody_can_handle_is_left_for_the_dead_letters(scene: Scene) -> None:
    assert handle(sqs("{}", reference("unknown"), "not json", reference("a"))) == failures(
        "m0", "m1", "m2"
    )
    assert len(scene.provider.accepted) == 1


def test_with_too_little_time_left_the_rest_of_the_batch_comes_again(scene: Scene) -> None:
    assert handle(sqs(reference("a")), Context(remaining=READ_TIMEOUT)) == failures("m0")
    assert scene.claims()["a"].state is ClaimState.CLAIMED


def test_no_invocation_is_longer_than_a_vanished_attempt_is_waited_for() -> None:
    stages = json.loads(CONFIGURATION.read_text())["context"]["stages"]
    for stage in stages.values():
        timeout = stage["functions"]["deliver_action"]["timeout_seconds"]
        assert timeout * 1000 <= LONGEST_INVOCATION_MS


def test_the_clients_wait_for_a_connection_as_long_as_is_reckoned_with() -> None:
    assert cast(Any, aws.config()).connect_timeout == CONNECT_TIMEOUT
