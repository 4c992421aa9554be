"""check_playbook's shell, and the state machine's definition run around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from check_playbook import handler
from check_playbook.settings import Settings
from desireline import errors
from desireline.contracts import Table
from desireline.errors import ThrottledError
from desireline.intervene.check_playbook import CheckPlaybook
from desireline.rows import EnrolmentRow, EnrolmentState
from desireline.score.models.package import Model
from tests.functional.lambda_side import Context
from tests.worlds.intervening import ENTRY, HOUR, Scene

DEFINITION = Path(__file__).parents[3] / "infra" / "workflows" / "run-playbook.asl.json"


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A running enrolment behind the handler."""
    scene = Scene()
    scene.subject("s")
    scene.happened("s")
    scene.enrol("s")
    use_case = CheckPlaybook(
        store=scene.store,
        model=cast(Model, scene.model),
        playbooks=scene.playbooks,
        switches=scene.switches,
        clock=scene.clock,
        wall=scene.wall,
        metrics=scene.metrics,
        holdout_percent=0,
    )
    monkeypatch.setattr(handler, "use_case", lambda: use_case)
    return scene


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return handler.handle(event, cast(Any, Context()))


def test_a_check_answers_with_a_timestamp_that_step_functions_reads(scene: Scene) -> None:
    answer = handle({"enrolment": "e1"})
    assert answer == {"done": False, "due": "2024-10-04T04:00:00Z"}
    assert datetime.fromisoformat(answer["due"]).timestamp() * 1000 == ENTRY + 4 * HOUR


def test_a_run_that_has_ended_is_done(scene: Scene) -> None:
    scene.put(scene.row(EnrolmentRow.ref_to("e1")).but(state=EnrolmentState.EXITED))
    assert handle({"enrolment": "e1"})["done"] is True


def test_an_error_keeps_the_name_of_its_class(scene: Scene) -> None:
    def slow_down() -> None:
        raise ThrottledError("slow down")

    scene.store.before_write.append(slow_down)
    with pytest.raises(ThrottledError):
        handle({"enrolment": "e1"})


def test_the_settings_name_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLES", '{"states": "d-states"}')
    monkeypatch.setenv("SWITCHES_PARAMETER", "/p")
    monkeypatch.setenv("HOLDOUT_PERCENT", "10")
    assert Settings().tables[Table.STATES] == "d-states"
    monkeypatch.setenv("HOLDOUT_PERCENT", "101")
    with pytest.raises(ValueError, match="less than or equal to 100"):
        Settings()


# --- the definition


def definition() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DEFINITION.read_text())
    return found


def run(task: Callable[[dict[str, Any]], dict[str, Any]], wait: Callable[[str], None]) -> list[str]:
    """Walk the definition as Step Functions does, without retries; the states entered."""
    states, data, entered = definition()["States"], {"enrolment": "e1"}, []
    name = definition()["StartAt"]
    while True:
        state = states[name]
        entered.append(name)
        match state["Type"]:
            case "Task":
                given = {
                    key.removesuffix(".$"): data[path[2:]]
                    for key, path in state["Parameters"].items()
                }
                data = {**data, state["ResultPath"][2:]: task(given)}
                name = state["Next"]
            case "Choice":
                (choice,) = state["Choices"]
                assert choice["Variable"] == "$.check.done"
                done = cast(Any, data["check"])["done"] is choice["BooleanEquals"]
                name = choice["Next"] if done else state["Default"]
            case "Wait":
                assert state["TimestampPath"] == "$.check.due"
                wait(cast(Any, data["check"])["due"])
                name = state["Next"]
            case _:
                return entered


def test_the_machine_goes_through_a_playbook_in_three_transitions_a_checkpoint(
    scene: Scene,
) -> None:
    waited = []

    def wait(due: str) -> None:
        waited.append(due)
        scene.clock.at = int(datetime.fromisoformat(due).timestamp() * 1000)

    entered = run(handle, wait)
    assert entered == ["Check", "Ended?", "Wait"] * 3 + ["Check", "Ended?", "Ended"]
    assert [due[8:16] for due in waited] == ["04T04:00", "05T00:00", "06T00:00"]
    assert scene.row(EnrolmentRow.ref_to("e1")).state is EnrolmentState.COMPLETED


def test_every_retryable_error_is_retried_by_its_name_and_no_other_of_ours() -> None:
    retried = {
        name
        for rule in definition()["States"]["Check"]["Retry"]
        if rule["MaxAttempts"]
        for name in rule["ErrorEquals"]
    }
    ours = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.DesirelineError)
    }
    retryable = {name for name, kind in ours.items() if errors.RetryableError in kind.__bases__}
    assert retried & ours.keys() == retryable
    assert {"Lambda.ServiceException", "Lambda.TooManyRequestsException"} <= retried


def test_what_is_not_retried_fails_the_execution_without_its_data() -> None:
    states = definition()["States"]
    (caught,) = states["Check"]["Catch"]
    assert (caught["ErrorEquals"], caught["ResultPath"]) == (["States.ALL"], None)
    assert states[caught["Next"]]["Type"] == "Fail"
    assert states["Check"]["Parameters"] == {"enrolment.$": "$.enrolment"}
