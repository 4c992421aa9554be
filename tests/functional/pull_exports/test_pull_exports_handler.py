"""The shell of pull_exports: what it is told, and what it says."""

from __future__ import annotations

from typing import Any, cast

import pytest

from desireline.receive.pull_exports import PullResult
from pull_exports import handler
from pull_exports.settings import Settings
from tests.functional.lambda_side import Context

TOLD = (
    '{"url": "https://data-eu.mixpanel.com", "project": "12", "time_zone": "Europe/Berlin",'
    ' "first_day": "2026-01-01", "window_days": 5, "requests": 30, "account_property": "company"}'
)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DEPLOYMENT": "d",
        "TABLES": '{"sources": "d-sources"}',
        "WEBHOOKS_URL": "https://api.example/webhooks",
        "MIXPANEL_EXPORT": TOLD,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_it_goes_on_for_as_long_as_the_function_has_and_says_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left: list[float] = []

    def pull(remaining: Any) -> PullResult:
        left.append(remaining())
        return PullResult(days=2, posted=3, passed_over=4, stopped="rate_limited")

    monkeypatch.setattr(handler, "use_case", lambda: pull)

    answer = handler.handle({"detail-type": "Scheduled Event"}, cast("Any", Context(42_000)))

    assert left == [42.0]
    assert answer == {"days": 2, "posted": 3, "passed_over": 4, "stopped": "rate_limited"}
    [said] = [record.__dict__ for record in caplog.records if record.message == "pulled"]
    assert (said["posted"], said["stopped"]) == (3, "rate_limited")


def test_its_settings_are_read(environment: None) -> None:
    export = Settings().mixpanel_export
    assert (export.project, export.time_zone, export.window_days) == ("12", "Europe/Berlin", 5)


def test_it_can_be_put_together_without_calling_anyone(environment: None) -> None:
    handler.use_case.cache_clear()
    assert handler.use_case() is handler.use_case()
    handler.use_case.cache_clear()
