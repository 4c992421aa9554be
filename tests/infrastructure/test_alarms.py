"""The list of alarms, and that it is what is deployed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from desireline.contracts import Function, Table
from desireline.intervene.channels import CHANNELS
from infra.source_settings import EXAMPLE
from infra.watch.alarms import Severity, alarm_rows, mapping_sources
from tests.infrastructure.assembly import Assembly

ROOT = Path(__file__).parents[2]


def deployed(assembly: Assembly) -> dict[str, dict[str, object]]:
    return {
        r.properties["AlarmName"]: dict(r.properties)
        for r in assembly.of_type("AWS::CloudWatch::Alarm")
    }


def alarm_name(deployment: str, severity: str, row: str) -> str:
    return "-".join([deployment, severity, row]).replace("_", "-").replace(".", "-")


def test_every_row_is_an_alarm_and_every_alarm_a_row(dev: Assembly, prod: Assembly) -> None:
    for assembly, name in ((dev, "desireline-dev"), (prod, "desireline")):
        expected = {alarm_name(name, row.severity, row.name) for row in alarm_rows(EXAMPLE)}
        assert set(deployed(assembly)) == expected
        assert len(expected) == len(alarm_rows(EXAMPLE))


def test_an_alarm_says_what_the_row_says(dev: Assembly) -> None:
    found = deployed(dev)
    for row in alarm_rows(EXAMPLE):
        alarm = found[alarm_name("desireline-dev", row.severity, row.name)]
        assert alarm["Namespace"] == row.namespace
        assert alarm["MetricName"] == row.metric
        assert alarm["Threshold"] == row.threshold
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (
            row.periods,
            row.datapoints,
        )


def test_each_goes_to_the_topic_of_its_severity(dev: Assembly) -> None:
    topics = {f"<{r.name}>": r.properties["TopicName"] for r in dev.of_type("AWS::SNS::Topic")}
    for name, alarm in deployed(dev).items():
        (action,) = alarm["AlarmActions"]  # type: ignore[misc]
        severity = topics[action].rpartition("-")[2]
        assert severity in set(Severity)
        assert name.startswith(f"desireline-dev-{severity}-")


def test_dimensions_name_what_is_deployed(dev: Assembly) -> None:
    """An alarm on a misspelt name would never sound."""
    names = {r.properties["FunctionName"] for r in dev.functions().values()}
    names |= {r.properties["TableName"] for r in dev.of_type("AWS::DynamoDB::Table")}
    names |= {r.properties["QueueName"] for r in dev.of_type("AWS::SQS::Queue")}
    names |= {r.properties["TopicName"] for r in dev.of_type("AWS::SNS::Topic")}
    names |= {r.properties["TopicName"] for r in dev.of_type("AWS::MSK::Topic")}
    names |= {r.properties["ClusterName"] for r in dev.of_type("AWS::MSK::Cluster")}
    names |= {
        mapping["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"]
        for f in Function
        for mapping in dev.mappings(f)
        if "Topics" in mapping
    }
    names |= {source.topic for source in EXAMPLE.topics}
    # Two of these together are no dimensions of Lambda's, and their alarm would never sound.
    pair = {"FunctionName", "EventSourceMappingUUID"}
    assert not any(pair <= set(row.dimensions) for row in alarm_rows(EXAMPLE))
    by_name = {"FunctionName", "TableName", "QueueName", "TopicName", "Topic", "Cluster Name"}
    parameters = {f"ssm:{r.properties['Name']}" for r in dev.of_type("AWS::SSM::Parameter")}
    for alarm in deployed(dev).values():
        for dimension in alarm["Dimensions"]:  # type: ignore[attr-defined]
            key, value = dimension["Name"], dimension["Value"]
            if key in by_name | {"Consumer Group"}:
                assert value in names, (key, value)
            elif key in {"EventSourceMappingUUID", "ApiId"}:
                assert value in parameters, (key, value)


def test_whatever_can_hold_dead_letters_has_an_alarm(dev: Assembly) -> None:
    rows = alarm_rows(EXAMPLE)
    watched = {
        row.dimensions["EventSourceMappingUUID"]
        for row in rows
        if row.metric == "OnFailureDestinationDeliveredEventCount"
    }
    with_destination = [m for f in Function for m in dev.mappings(f) if "DestinationConfig" in m]
    assert len(watched) == len(with_destination) == len(list(mapping_sources(EXAMPLE)))
    dead = {
        r.properties["QueueName"].removeprefix("desireline-dev")
        for r in dev.of_type("AWS::SQS::Queue")
        if r.properties["QueueName"].endswith("-dead")
    }
    assert dead == {
        row.dimensions["QueueName"].removeprefix("{deployment}")
        for row in rows
        if row.metric == "ApproximateNumberOfMessagesVisible"
    }


def test_lag_errors_throttles_and_unknown_sends_are_watched() -> None:
    rows = alarm_rows(EXAMPLE)

    def watched(metric: str, dimension: str) -> set[str]:
        return {row.dimensions[dimension] for row in rows if row.metric == metric}

    functions = {"{deployment}-" + f.replace("_", "-") for f in Function}
    assert watched("Errors", "FunctionName") == functions
    assert watched("Throttles", "FunctionName") == functions
    assert len(watched("EstimatedMaxTimeLag", "Consumer Group")) == 14
    assert watched("IteratorAge", "FunctionName") == {"{deployment}-publish-changes"}
    assert watched("sends_unknown", "channel") == set(CHANNELS)
    assert watched("sends_refused", "channel") == set(CHANNELS)
    assert watched("records_quarantined", "service") == {
        Function.RESOLVE_IDENTITY,
        Function.SCORE_JOURNEY,
        Function.START_INTERVENTIONS,
    }
    assert len(watched("WriteThrottleEvents", "TableName")) == len(Table)


def test_a_consumer_is_late_long_before_the_minute_is_over() -> None:
    for row in alarm_rows(EXAMPLE):
        nobody_waits = "archive" in row.name or "quarantine" in row.name.partition("-")[0]
        if row.metric == "EstimatedMaxTimeLag" and not nobody_waits:
            assert row.threshold * 3 <= 60
            assert row.severity is Severity.PAGE


def test_every_runbook_entry_is_written_and_linked(dev: Assembly) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    headings = set(re.findall(r"^## (.+)$", page, re.MULTILINE))
    assert {row.runbook for row in alarm_rows(EXAMPLE)} <= headings
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for alarm in deployed(dev).values():
        assert str(alarm["AlarmDescription"]).rpartition("#")[2] in anchors


def test_our_own_metrics_are_those_that_the_code_counts(dev: Assembly) -> None:
    sources = (ROOT / "layers/desireline").rglob("*.py")
    counted = {
        name
        for source in sources
        for name in re.findall(r'metrics\.count\(\s*"(\w+)"', source.read_text())
    }
    (dashboard,) = dev.of_type("AWS::CloudWatch::Dashboard")
    shown = set(re.findall(r'MetricName=\\"(\w+)\\"', dashboard.properties["DashboardBody"]))
    alarmed = {row.metric for row in alarm_rows(EXAMPLE) if row.namespace == "Desireline"}
    assert shown
    assert counted
    assert shown | alarmed <= counted


def test_the_dashboard_shows_the_pipeline_from_left_to_right(dev: Assembly) -> None:
    (dashboard,) = dev.of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(dashboard.properties["DashboardBody"])["widgets"]
    titles = [widget["properties"]["title"] for widget in widgets]
    assert titles[0].startswith("Webhooks")
    assert titles[-1] == "Alarms"
    assert len(widgets) == 13
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets)


def test_a_function_that_runs_once_an_hour_is_measured_by_hours_and_wakes_nobody() -> None:
    rows = [row for row in alarm_rows(EXAMPLE) if row.name.startswith("pull_exports")]
    assert {row.metric for row in rows} == {"Errors", "Throttles"}
    rows += [row for row in alarm_rows(EXAMPLE) if row.metric == "pulls_interrupted"]
    assert {row.severity for row in rows} == {Severity.TICKET}
    assert {(row.period, row.threshold) for row in rows} == {(6 * 3600, 3)}
    assert not [row for row in alarm_rows() if "pull" in row.name]
