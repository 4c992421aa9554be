"""Step Functions on a clock that a driver moves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from desireline.adapters.clock import WallClock, journey_clock
from desireline.errors import UnavailableError
from desireline_local.aws.cloud import Control, LocalAws
from tests.integration.tiny_functions import ROLE, create_function, eventually

HOUR = 3_600_000
START = 1_900_000_000_000


@pytest.fixture(scope="module")
def own_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Of its own: a clock that was once frozen does not go back."""
    with LocalAws(tmp_path_factory.mktemp("virtual")) as aws:
        yield aws


@pytest.fixture(scope="module")
def clock(own_aws: LocalAws) -> Control:
    control = own_aws.control
    before = time.time() * 1000 - 1
    assert before < control.now() < time.time() * 1000 + 1, "without a driver it is the wall's"
    assert not control.clock()["frozen"]
    control.freeze(START)
    return control


def iso(moment: int) -> str:
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Machine:
    """A state machine and its executions."""

    def __init__(self, aws: LocalAws, states: dict[str, Any]) -> None:
        self._client = aws.client("stepfunctions")
        definition = {"StartAt": next(iter(states)), "States": states}
        self._arn = self._client.create_state_machine(
            name=f"m-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
        )["stateMachineArn"]

    def start(self, **payload: Any) -> str:
        """The execution's ARN."""
        answer = self._client.start_execution(stateMachineArn=self._arn, input=json.dumps(payload))
        return str(answer["executionArn"])

    def status(self, execution: str) -> str:
        return str(self._client.describe_execution(executionArn=execution)["status"])

    def found(self, execution: str) -> dict[str, Any]:
        """What it came to, once it ended."""
        eventually(lambda: self.status(execution) != "RUNNING")
        found: dict[str, Any] = self._client.describe_execution(executionArn=execution)
        return found

    def complete(self, token: str, output: Any) -> None:
        self._client.send_task_success(taskToken=token, output=json.dumps(output))


def asleep(clock: Control, count: int) -> None:
    """Return when this many executions wait."""
    eventually(lambda: clock.rest()["executions_waiting"] == count)


WAIT = {"Type": "Wait", "TimestampPath": "$.due", "End": True}


def test_it_stands_still_until_it_is_moved_and_never_goes_back(clock: Control) -> None:
    before = clock.now()
    time.sleep(0.05)
    assert clock.now() == before

    clock.advance(before + 10)
    clock.advance(before + 5)

    assert clock.now() == before + 10


def test_functions_read_it_at_once(own_aws: LocalAws, clock: Control) -> None:
    """However often it is moved, what a function reads is where it was moved to last."""
    read = journey_clock(own_aws.clock_url)
    assert read.now() == clock.now()

    for step in (1, HOUR, 48 * HOUR):
        to = clock.now() + step
        clock.advance(to)
        assert read.now() == to


def test_a_clock_that_nobody_holds_is_the_walls(tmp_path: Path) -> None:
    with LocalAws(tmp_path / "aws") as aws:
        before = WallClock().now()
        assert before <= journey_clock(aws.clock_url).now() <= WallClock().now()


def test_a_function_without_its_clock_fails_and_does_not_guess(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        journey_clock((tmp_path / "gone").as_uri()).now()


def test_a_wait_ends_when_the_clock_reaches_its_time_and_not_before(
    own_aws: LocalAws, clock: Control
) -> None:
    machine, due = Machine(own_aws, {"Wait": WAIT}), clock.now() + 48 * HOUR
    execution = machine.start(due=iso(due))
    asleep(clock, 1)
    assert clock.rest()["next_due"] * 1000 == pytest.approx(due, abs=1)

    clock.advance(due - 1)
    time.sleep(0.2)
    assert machine.status(execution) == "RUNNING"

    clock.advance(due)
    assert machine.found(execution)["status"] == "SUCCEEDED"


def test_a_wait_of_seconds_counts_from_the_moment_it_began(
    own_aws: LocalAws, clock: Control
) -> None:
    machine = Machine(own_aws, {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}})
    began = clock.now()
    execution = machine.start()
    asleep(clock, 1)

    clock.advance(began + HOUR - 1)
    time.sleep(0.1)
    assert machine.status(execution) == "RUNNING"

    clock.advance(began + HOUR)
    assert machine.found(execution)["status"] == "SUCCEEDED"


def test_a_time_that_has_passed_is_not_waited_for(own_aws: LocalAws, clock: Control) -> None:
    machine = Machine(own_aws, {"Wait": WAIT})

    assert machine.found(machine.start(due=iso(clock.now())))["status"] == "SUCCEEDED"


def test_only_who_is_due_wakes(own_aws: LocalAws, clock: Control) -> None:
    machine, now = Machine(own_aws, {"Wait": WAIT}), clock.now()
    executions = [machine.start(due=iso(now + hour * HOUR)) for hour in (1, 2, 3)]
    asleep(clock, 3)

    clock.advance(now + 2 * HOUR)

    assert [machine.found(one)["status"] for one in executions[:2]] == ["SUCCEEDED"] * 2
    assert machine.status(executions[2]) == "RUNNING"
    assert clock.rest()["executions_waiting"] == 1
    clock.advance(now + 3 * HOUR)
    machine.found(executions[2])


def test_a_stopped_execution_is_not_waited_for(own_aws: LocalAws, clock: Control) -> None:
    machine = Machine(own_aws, {"Wait": WAIT})
    execution = machine.start(due=iso(clock.now() + HOUR))
    asleep(clock, 1)

    own_aws.client("stepfunctions").stop_execution(executionArn=execution)

    rest = clock.rest()
    assert (rest["executions_waiting"], rest["next_due"]) == (0, None)


def token_state(queue: str, **timeout: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "End": True,
        **timeout,
    }


@pytest.fixture(scope="module")
def queue(own_aws: LocalAws) -> str:
    return str(own_aws.client("sqs").create_queue(QueueName="tokens")["QueueUrl"])


def token(aws: LocalAws, queue: str) -> str:
    sqs = aws.client("sqs")
    message = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"][0]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return str(json.loads(message["Body"])["token"])


def test_a_completed_token_ends_its_wait_without_the_clock(
    own_aws: LocalAws, clock: Control, queue: str
) -> None:
    machine = Machine(own_aws, {"Task": token_state(queue, TimeoutSeconds=7200)})
    execution = machine.start()
    asleep(clock, 1)

    machine.complete(token(own_aws, queue), {"did": "it"})

    assert json.loads(machine.found(execution)["output"]) == {"did": "it"}


@pytest.mark.parametrize("how", ["TimeoutSeconds", "TimeoutSecondsPath"])
def test_a_token_times_out_in_journey_time(
    own_aws: LocalAws, clock: Control, queue: str, how: str
) -> None:
    value = 7200 if how == "TimeoutSeconds" else "$.patience"
    machine = Machine(own_aws, {"Task": token_state(queue, **{how: value})})
    began = clock.now()
    execution = machine.start(patience=7200)
    asleep(clock, 1)
    assert clock.rest()["next_due"] * 1000 == pytest.approx(began + 2 * HOUR, abs=1)

    clock.advance(began + 2 * HOUR - 1)
    time.sleep(0.1)
    assert machine.status(execution) == "RUNNING"
    clock.advance(began + 2 * HOUR)

    assert machine.found(execution)["error"] == "States.Timeout"
    token(own_aws, queue)


def test_a_retry_waits_on_the_wall_clock(own_aws: LocalAws, clock: Control) -> None:
    function = create_function(
        own_aws,
        """
        calls = 0
        def handle(event, context):
            global calls
            calls += 1
            if calls == 1:
                raise ValueError("first")
            return calls
        """,
    )
    retry = {"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 1}
    run = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function},
        "Retry": [retry],
        "OutputPath": "$.Payload",
        "End": True,
    }
    machine = Machine(own_aws, {"Run": run})

    assert machine.found(machine.start())["output"] == "2"


def test_five_hundred_executions_with_two_waits_each(own_aws: LocalAws, clock: Control) -> None:
    first = {"Type": "Wait", "TimestampPath": "$.first", "Next": "Second"}
    second = {"Type": "Wait", "TimestampPath": "$.second", "End": True}
    machine, now = Machine(own_aws, {"First": first, "Second": second}), clock.now()
    executions = [
        machine.start(first=iso(now + (n % 25 + 1) * HOUR), second=iso(now + (n % 25 + 30) * HOUR))
        for n in range(500)
    ]
    asleep(clock, 500)

    def all_sleep_again() -> bool:
        rest = clock.rest()
        return rest["executions_awake"] == 0 and rest["next_due"] != moments[-1]

    moments = []
    while (due := clock.rest()["next_due"]) is not None:
        moments.append(due)
        clock.advance(round(due * 1000))
        eventually(all_sleep_again)

    assert len(moments) == 50
    assert moments == sorted(moments)
    assert {machine.status(one) for one in executions} == {"SUCCEEDED"}


def test_a_clock_without_a_driver_is_the_walls(local_aws: LocalAws) -> None:
    until = {"Type": "Wait", "TimestampPath": "$.due", "End": True}
    machine = Machine(local_aws, {"Wait": until})

    began = time.time()
    execution = machine.start(due=iso(round((began + 0.7) * 1000)))
    machine.found(execution)

    assert time.time() - began > 0.65
