"""start_interventions' shell: an MSK event in, a partial batch response out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer, ResolvedEvent
from desireline.intervene.start_interventions import StartInterventions
from desireline.records import Record
from desireline.rows import DecisionRow, EnrolmentRow, SetAsideRow
from start_interventions import handler
from tests.functional.lambda_side import Context, kafka_event
from tests.worlds.intervening import ENTRY, Scene


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene()
    scene.subject("s")
    use_case = StartInterventions(
        store=scene.store,
        workflow=scene.workflow,
        playbooks=scene.playbooks,
        clock=scene.clock,
        wall=scene.wall,
        metrics=scene.metrics,
        holdout_percent=0,
    )
    monkeypatch.setattr(handler, "use_case", lambda: use_case)
    return scene


def signup() -> bytes:
    event = CanonicalEvent(
        event_id="ev",
        name="trial_signup",
        category="product",
        source="segment",
        occurred_at=ENTRY,
        received_at=ENTRY,
        aliases=(Alias(type=AliasType.USER, value="u", fragment="s"),),
        raw=RawPointer(id="r"),
    )
    return ResolvedEvent(event=event, person="s", subject="s").encode()


def msk(*values: bytes | None, headers: dict[str, bytes] | None = None) -> dict[str, Any]:
    return kafka_event(
        *(
            Record(Topic.EVENTS_RESOLVED, 0, n, ENTRY, b"s", value, headers or {})
            for n, value in enumerate(values)
        )
    )


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return handler.handle(event, cast(Any, Context()))


def test_a_signup_is_started_and_an_unreadable_record_is_set_aside(scene: Scene) -> None:
    assert handle(msk(b"{}", signup(), None)) == {"batchItemFailures": []}
    assert len(scene.rows(EnrolmentRow)) == len(scene.workflow.started) == 1
    assert [row.offset for row in scene.rows(SetAsideRow)] == [0]


def test_a_start_that_fails_comes_again(scene: Scene) -> None:
    scene.workflow.failing = UnavailableError("down")
    failed = {"itemIdentifier": {"partition": "events.resolved-0", "offset": 1}}
    assert handle(msk(b"{}", signup())) == {"batchItemFailures": [failed]}


def test_the_replay_header_is_read(scene: Scene) -> None:
    handle(msk(signup(), headers={"replay": b"1"}))
    assert scene.workflow.calls == 0
    assert [row.reason for row in scene.rows(DecisionRow)] == ["replay"]
