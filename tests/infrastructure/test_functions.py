"""What every function has, and that it is told what its settings ask for, no more and no less."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from desireline.contracts import Function, Table
from desireline.intervene.channels import CHANNELS
from infra.settings import PRODUCER_CONCURRENCY_LIMIT, PRODUCERS
from tests.infrastructure.assembly import Assembly, allowed, table_arn

ROOT = Path(__file__).parents[2]

READ_BY_POWERTOOLS = {
    "LOG_LEVEL",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_TRACE_DISABLED",
}
SET_BY_LAMBDA = {"AWS_REGION"}

ROW_ACTIONS = ("BatchGetItem", "GetItem", "PutItem", "Query")


def settings_of(function: Function) -> type[BaseSettings]:
    found = importlib.import_module(f"{function}.settings").Settings
    assert issubclass(found, BaseSettings)
    return found


def told(assembly: Assembly, function: Function) -> dict[str, str]:
    variables = assembly.functions()[function].properties["Environment"]["Variables"]
    return {k: v for k, v in variables.items() if k not in READ_BY_POWERTOOLS}


@pytest.mark.parametrize("function", Function)
def test_on_aws_it_is_told_what_its_settings_ask_for(dev: Assembly, function: Function) -> None:
    fields = {name.upper(): f for name, f in settings_of(function).model_fields.items()}
    required = {name for name, field in fields.items() if field.is_required()}
    given = set(told(dev, function))
    assert given <= set(fields)
    assert required - SET_BY_LAMBDA <= given
    assert "CLOCK_URL" not in given


@pytest.mark.parametrize("function", Function)
def test_locally_it_is_told_the_clock_besides(
    dev: Assembly, local: Assembly, function: Function
) -> None:
    asks = "clock_url" in settings_of(function).model_fields
    assert set(told(local, function)) - set(told(dev, function)) == (
        {"CLOCK_URL"} if asks else set()
    )


@pytest.mark.parametrize("function", Function)
def test_its_settings_accept_what_it_is_told(
    dev: Assembly, function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name, value in told(dev, function).items():
        monkeypatch.setenv(name, value)
    settings_of(function)()


@pytest.mark.parametrize("function", Function)
def test_it_is_told_the_tables_that_its_role_may_use(dev: Assembly, function: Function) -> None:
    used = {
        table
        for table in Table
        for action in ROW_ACTIONS
        if allowed(
            dev.statements(function), f"dynamodb:{action}", table_arn("desireline-dev", table)
        )
    }
    names = json.loads(told(dev, function).get("TABLES", "{}"))
    assert names == {table: f"desireline-dev-{table}" for table in used}


def test_each_live_channel_has_a_queue_and_a_topic_that_the_functions_are_told(
    dev: Assembly,
) -> None:
    queues = json.loads(told(dev, Function.PUBLISH_CHANGES)["QUEUES"])
    topics = json.loads(told(dev, Function.DELIVER_ACTION)["ALERT_TOPICS"])
    assert set(queues) == set(CHANNELS)
    assert set(topics) == {name for name, spec in CHANNELS.items() if spec.topic}
    published = {
        resource
        for statement in dev.statements(Function.DELIVER_ACTION)
        if "sns:Publish" in statement.actions
        for resource in statement.resources
    }
    assert published == set(topics.values())


def test_there_is_one_for_each_contract_and_no_other(dev: Assembly) -> None:
    assert set(dev.functions()) == set(Function)


@pytest.mark.parametrize("function", Function)
def test_what_all_have(dev: Assembly, function: Function) -> None:
    properties = dev.functions()[function].properties
    assert properties["Architectures"] == ["arm64"]
    assert properties["Handler"] == f"{function}.handler.handle"
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["ReservedConcurrentExecutions"] > 0
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == function
    groups = {g.name: g.properties for g in dev.of_type("AWS::Logs::LogGroup")}
    group = groups[properties["LoggingConfig"]["LogGroup"].strip("<>")]
    assert group["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"


def test_every_log_is_forgotten_in_time(dev: Assembly, prod: Assembly) -> None:
    for assembly, days in ((dev, 14), (prod, 90)):
        groups = assembly.of_type("AWS::Logs::LogGroup")
        assert {group.properties["RetentionInDays"] for group in groups} == {days}
        assert len(groups) >= len(Function) + 3


def test_only_producers_are_in_the_vpc(dev: Assembly) -> None:
    inside = {name for name, f in dev.functions().items() if "VpcConfig" in f.properties}
    assert inside == PRODUCERS
    for name in inside:
        config = dev.functions()[name].properties["VpcConfig"]
        assert config["SubnetIds"] == "ssm:/desireline/desireline-dev/network/subnets"


def test_producers_stay_below_what_the_brokers_take(dev: Assembly, prod: Assembly) -> None:
    for assembly in (dev, prod):
        together = sum(
            assembly.functions()[name].properties["ReservedConcurrentExecutions"]
            for name in PRODUCERS
        )
        assert together < PRODUCER_CONCURRENCY_LIMIT


def test_no_secret_is_in_an_environment(dev: Assembly) -> None:
    for function in dev.functions().values():
        for name, value in function.properties["Environment"]["Variables"].items():
            if "SECRET" in name:
                assert name.endswith("_ARN")
                # The Ref of a secret is its ARN.
                assert value.startswith("<")


@pytest.mark.parametrize("function", Function)
def test_its_code_is_its_own_folder_and_no_other(local: Assembly, function: Function) -> None:
    key = local.functions()[function].properties["Code"]["S3Key"]
    code = local.folder / f"asset.{key.removesuffix('.zip')}"
    assert {path.name for path in code.iterdir()} == {function.value}
    packed = {path.name for path in (code / function).iterdir()}
    assert {"handler.py", "settings.py"} <= packed
    assert "__pycache__" not in packed


def test_a_claim_is_no_longer_taken_for_one_in_the_works_once_its_sender_must_be_dead(
    dev: Assembly, prod: Assembly
) -> None:
    deliver = importlib.import_module("deliver_action.settings")
    for assembly in (dev, prod):
        timeout = assembly.functions()[Function.DELIVER_ACTION].properties["Timeout"]
        assert timeout * 1000 <= deliver.LONGEST_INVOCATION_MS


def test_functions_import_no_other_function() -> None:
    for function in Function:
        for file in (ROOT / "functions" / function).glob("*.py"):
            for other in set(Function) - {function}:
                assert f"from {other}" not in file.read_text()
