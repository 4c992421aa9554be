"""The state machine: a valid machine that checks and waits, and tells nobody what about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desireline import errors
from desireline.contracts import Function
from infra.building_blocks.playbook_machine import DEFINITION
from tests.infrastructure.assembly import Assembly

TYPES = {"Task", "Choice", "Wait", "Succeed", "Fail", "Pass"}


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DEFINITION.read_text())
    return loaded


def successors(state: dict[str, Any]) -> set[str]:
    found = {state[key] for key in ("Next", "Default") if key in state}
    found |= {choice["Next"] for choice in state.get("Choices", ())}
    return found | {catch["Next"] for catch in state.get("Catch", ())}


def test_it_is_a_machine(definition: dict[str, Any]) -> None:
    states = definition["States"]
    assert definition["StartAt"] in states
    for name, state in states.items():
        assert state["Type"] in TYPES, name
        assert successors(state) <= set(states), name
        ends = state.get("End") or state["Type"] in {"Succeed", "Fail"}
        assert bool(successors(state)) is not bool(ends), name


def test_every_state_is_reached_and_an_end_from_every_state(definition: dict[str, Any]) -> None:
    states = definition["States"]

    def reach(start: str) -> set[str]:
        seen, ahead = set(), {start}
        while ahead:
            seen |= ahead
            ahead = set().union(*(successors(states[name]) for name in ahead)) - seen
        return seen

    assert reach(definition["StartAt"]) == set(states)
    ends = {name for name, state in states.items() if state["Type"] in {"Succeed", "Fail"}}
    assert all(reach(name) & ends for name in states)


def repeated(definition: dict[str, Any], error: str) -> float:
    """For how many hours a check that fails so is repeated, on average: the first rule that names
    the error decides, and with full jitter a delay is half of the longest."""
    rules = definition["States"]["Check"]["Retry"]
    rule = next(one for one in rules if {error, "States.ALL"} & set(one["ErrorEquals"]))
    if rule["MaxAttempts"]:
        assert (rule["JitterStrategy"], rule["BackoffRate"]) == ("FULL", 2)
    hours: float = rule["MaxAttempts"] * rule.get("MaxDelaySeconds", 0) / 2 / 3600
    return hours


def test_a_check_that_may_succeed_later_is_repeated_for_about_a_day(
    definition: dict[str, Any],
) -> None:
    retryable = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.RetryableError)
        and kind is not errors.RetryableError
    }
    lambdas = {"Lambda.TooManyRequestsException", "Lambda.ServiceException", "States.Timeout"}
    for error in retryable | lambdas:
        assert 12 <= repeated(definition, error) <= 48, error


@pytest.mark.parametrize(
    "error",
    [
        *("KeyError", "ValidationError", "Runtime.ImportModuleError", "Runtime.ExitError"),
        *("InvalidPlaybookError", "InvalidModelError", "UnknownSchemaError"),
    ],
)
def test_a_bad_release_ends_no_run_before_it_can_be_taken_back(
    definition: dict[str, Any], error: str
) -> None:
    assert 3 <= repeated(definition, error) <= 12


def test_what_no_release_can_put_right_is_told_at_once(definition: dict[str, Any]) -> None:
    assert repeated(definition, "TerminalError") == 0


def test_what_is_left_for_all_errors_comes_last(definition: dict[str, Any]) -> None:
    """As Step Functions demands it."""
    *others, last = definition["States"]["Check"]["Retry"]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert not any("States.ALL" in rule["ErrorEquals"] for rule in others)


def test_it_outwaits_the_function(
    dev: Assembly, prod: Assembly, definition: dict[str, Any]
) -> None:
    tasks = [s for s in definition["States"].values() if s["Type"] == "Task"]
    for assembly in (dev, prod):
        timeout = assembly.functions()[Function.CHECK_PLAYBOOK].properties["Timeout"]
        assert all(task["TimeoutSeconds"] > timeout for task in tasks)


def test_only_the_enrolments_id_goes_in(definition: dict[str, Any]) -> None:
    """Inputs persist for 90 days and cannot be erased."""
    tasks = [s for s in definition["States"].values() if s["Type"] == "Task"]
    assert [task["Parameters"] for task in tasks] == [{"enrolment.$": "$.enrolment"}]


def test_it_waits_until_an_absolute_time(definition: dict[str, Any]) -> None:
    waits = [s for s in definition["States"].values() if s["Type"] == "Wait"]
    assert waits
    assert all(
        set(wait) & {"TimestampPath", "Timestamp", "Seconds", "SecondsPath"} == {"TimestampPath"}
        for wait in waits
    )


def test_it_is_deployed_with_every_place_filled(dev: Assembly) -> None:
    (machine,) = dev.of_type("AWS::StepFunctions::StateMachine")
    text = machine.properties["DefinitionString"]
    assert json.loads(text) == json.loads(DEFINITION.read_text())
    places = {part.partition("}")[0] for part in text.split("${")[1:]}
    assert places == set(machine.properties["DefinitionSubstitutions"])
    check = dev.functions()[Function.CHECK_PLAYBOOK].name
    assert machine.properties["DefinitionSubstitutions"]["CheckPlaybookArn"] == f"<{check}.Arn>"


def test_its_log_holds_no_data(dev: Assembly) -> None:
    (machine,) = dev.of_type("AWS::StepFunctions::StateMachine")
    logging = machine.properties["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False
    assert logging["Level"] == "ALL"
    assert logging["Destinations"]
    assert machine.properties["TracingConfiguration"] == {"Enabled": True}
    assert machine.properties["StateMachineType"] == "STANDARD"


def test_functions_know_it_by_the_name_that_it_gets(dev: Assembly) -> None:
    (machine,) = dev.of_type("AWS::StepFunctions::StateMachine")
    start = dev.functions()[Function.START_INTERVENTIONS].properties["Environment"]["Variables"]
    name = machine.properties["StateMachineName"]
    assert start["STATE_MACHINE_ARN"].endswith(f":stateMachine:{name}")
