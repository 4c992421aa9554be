"""A stage's settings are refused where they would break what runs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import infra.app
from desireline.contracts import Function
from infra.settings import PRODUCERS, context, deployment_settings

STAGES = context()["stages"]


@pytest.fixture
def stages() -> dict[str, Any]:
    return copy.deepcopy(dict(STAGES))


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_stages_of_the_repository_are_accepted(stage: str) -> None:
    settings = deployment_settings(STAGES, stage)
    assert set(settings.functions) == set(Function)


def test_producers_that_would_exhaust_the_brokers_are_refused(stages: dict[str, Any]) -> None:
    for function in PRODUCERS:
        stages["prod"]["functions"][function]["reserved_concurrency"] = 334
    with pytest.raises(ValidationError, match="exceeds the brokers' limit"):
        deployment_settings(stages, "prod")


def test_a_producer_without_a_limit_is_refused(stages: dict[str, Any]) -> None:
    stages["prod"]["functions"]["receive_webhook"]["reserved_concurrency"] = None
    with pytest.raises(ValidationError, match="producers need a reserved concurrency: receive"):
        deployment_settings(stages, "prod")


def test_more_than_an_account_has_is_refused(stages: dict[str, Any]) -> None:
    stages["prod"]["functions"]["score_journey"]["reserved_concurrency"] = 500
    with pytest.raises(ValidationError, match="exceeds an account's default"):
        deployment_settings(stages, "prod")


def test_a_stream_that_forgets_before_retries_end_is_refused(stages: dict[str, Any]) -> None:
    stages["dev"]["event_sources"]["stream_record_age_seconds"] = 86400
    with pytest.raises(ValidationError, match="stream_record_age_seconds"):
        deployment_settings(stages, "dev")


def test_a_function_without_settings_is_refused(stages: dict[str, Any]) -> None:
    del stages["dev"]["functions"]["archive_history"]
    with pytest.raises(ValidationError, match="no settings for archive_history"):
        deployment_settings(stages, "dev")


def test_a_misspelt_setting_is_refused(stages: dict[str, Any]) -> None:
    stages["dev"]["holdout_percents"] = 20
    with pytest.raises(ValidationError, match="holdout_percents"):
        deployment_settings(stages, "dev")


@pytest.mark.parametrize(
    ("broker", "storage"), [("express.m7g.large", 100), ("kafka.m7g.large", None)]
)
def test_storage_is_named_for_brokers_that_have_some(
    stages: dict[str, Any], broker: str, storage: int | None
) -> None:
    stages["dev"]["kafka"] |= {"broker_type": broker, "storage_gb": storage}
    with pytest.raises(ValidationError, match="storage_gb"):
        deployment_settings(stages, "dev")


def test_for_the_local_cloud_nothing_but_the_windows_changes() -> None:
    dev = deployment_settings(STAGES, "dev")
    hurried = dev.without_windows()
    assert hurried.event_sources.window_seconds == hurried.event_sources.stream_window_seconds == 0
    assert (
        0 < hurried.event_sources.archive_window_seconds < dev.event_sources.archive_window_seconds
    )
    assert hurried.model_copy(update={"event_sources": dev.event_sources}) == dev


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("stage=nope", "cdk.json has no stage 'nope': choose one of dev, prod"),
        ("deployment", "--context deployment: write KEY=VALUE"),
    ],
)
def test_a_wrong_context_ends_with_2_and_a_message(
    asked: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path))
    try:
        code = infra.app.main(["--unbuilt-layers", "--context", asked])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert said in capsys.readouterr().err
