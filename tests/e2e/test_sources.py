"""A topic of the company's and Mixpanel's export, through the whole local cloud."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer

from bench.read_topic import read_topic
from desireline.adapters.mixpanel import SECRET
from desireline.contracts import Topic
from desireline.events import AliasType, CanonicalEvent, Quarantined
from desireline.rows import StateRow
from desireline.rows.sources import PullRow
from desireline_local.cloud import COMPANY_TOPICS, LocalCloud
from desireline_local.sender_side.mixpanel import PASSWORD, PROJECT, USER
from infra.source_settings import EXAMPLE
from tests.worlds.failing_mixpanel import FailingMixpanel

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud") / "home", warehouse=False) as cloud:
        yield cloud


def until(condition: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def counts(cloud: LocalCloud, alias_type: AliasType, who: str, account: str) -> dict[str, int]:
    """What has been counted of a person's fragment in an account."""
    alias = cloud.at.as_deployment().fragments().alias(alias_type, who)
    assert alias is not None
    row = cloud.at.as_deployment().store().get(StateRow.ref_to(alias.fragment, account))
    return dict(row.state.counts) if row else {}


def of_the_source(cloud: LocalCloud, topic: Topic) -> list[bytes]:
    """What the company's topic became on one of ours."""
    values = [message.value() or b"" for message in read_topic(cloud.bootstrap, topic)]
    return [value for value in values if json.loads(value)["source"] == "company_events"]


def test_the_local_topics_are_those_of_the_example() -> None:
    assert set(COMPANY_TOPICS) == {source.topic for source in EXAMPLE.topics}
    assert EXAMPLE.mixpanel_export
    assert EXAMPLE.mixpanel_export.project == PROJECT


def test_a_topics_records_are_counted_once_and_the_rest_is_set_aside(cloud: LocalCloud) -> None:
    """Given a topic of the company's with events, a tombstone, garbage and a repetition, when the
    mapping has passed them all, then each event counts once, and the garbage is in quarantine."""
    now = datetime.now(UTC).isoformat()

    def event(number: int, kind: str) -> bytes:
        return json.dumps(
            {
                "event_id": f"e{number}",
                "type": kind,
                "occurred_at": now,
                "user": {"id": "topic-user", "email": "t@acme.test"},
                "workspace": {"id": "topic-co", "role": "owner"},
                "data": {"name": "p", "integration": "slack"},
            }
        ).encode()

    producer = Producer({"bootstrap.servers": cloud.bootstrap})
    values = [
        event(1, "trial.started"),
        event(2, "project.created"),
        None,
        b"\x00\x00\x00\x00\x01avro",
        event(2, "project.created"),
        event(3, "integration.connected"),
        event(4, "of.another.kind"),
    ]
    for number, value in enumerate(values):
        producer.produce("company.events", value, key=str(number).encode())
    assert producer.flush(120) == 0

    expected = {"trial_signup": 1, "project_created": 1, "integration_connected": 1}
    until(
        lambda: counts(cloud, AliasType.USER, "topic-user", "group:topic-co") == expected,
        "the topic's events are not counted",
    )
    until(lambda: len(of_the_source(cloud, Topic.EVENTS_QUARANTINED)) >= 2, "nothing is set aside")
    told = [Quarantined.decode(one) for one in of_the_source(cloud, Topic.EVENTS_QUARANTINED)]
    aside = {one.id: one for one in told}.values()  # a batch that is repeated tells it again
    assert sorted(one.reason for one in aside) == ["not_json", "unmapped"]
    received = [CanonicalEvent.decode(one) for one in of_the_source(cloud, Topic.EVENTS_RECEIVED)]
    raw = {json.loads(one)["id"] for one in of_the_source(cloud, Topic.WEBHOOKS_RAW)}
    assert len(raw) == 6
    assert {event.raw.id for event in received} | {one.raw.id for one in aside if one.raw} == raw


def test_an_export_is_pulled_through_our_own_webhook(cloud: LocalCloud) -> None:
    """Given Mixpanel with two events and a connection that breaks, when the function runs until it
    is through, and once more, then both are counted once, and the cursor is at today."""
    moment = int(time.time())
    today = datetime.fromtimestamp(moment, UTC).date().isoformat()
    at = cloud.at
    at.client("secretsmanager").put_secret_value(
        SecretId=f"{at.deployment}/{SECRET}",
        SecretString=json.dumps({"username": USER, "secret": PASSWORD}),
    )
    mixpanel = FailingMixpanel(urlsplit(at.mixpanel).port or 0)
    for name, insert_id in (("Trial Started", "m1"), ("Project Created", "m2")):
        given = {
            "time": moment,
            "$insert_id": insert_id,
            "$user_id": "pulled-user",
            "$device_id": "pulled-device",
            "company_id": "pulled-co",
            "mp_processing_time_ms": moment * 1000,
        }
        mixpanel.add_events(today, {"event": name, "properties": given})
    mixpanel.answers = [200, 200, "cut"]

    def run() -> dict[str, Any]:
        answer = at.client("lambda").invoke(
            FunctionName=f"{at.deployment}-pull-exports", Payload=b"{}"
        )
        assert "FunctionError" not in answer
        said: dict[str, Any] = json.loads(answer["Payload"].read())
        return said

    with mixpanel.serving():
        runs = [run()]
        assert runs[0]["stopped"] == "unavailable"
        while runs[-1]["stopped"]:
            runs.append(run())
            assert len(runs) < 20
        again = run()

    assert sum(one["posted"] for one in runs) == 2
    assert again["posted"] <= 2
    expected = {"trial_signup": 1, "project_created": 1}
    until(
        lambda: counts(cloud, AliasType.USER, "pulled-user", "group:pulled-co") == expected,
        "the export's events are not counted",
    )
    row = at.as_deployment().store().get(PullRow.ref_to("mixpanel_export", PROJECT))
    assert row is not None
    assert today <= row.through <= datetime.now(UTC).date().isoformat()
    assert row.sweep is None


def test_the_clock_would_run_it(cloud: LocalCloud) -> None:
    """The rule exists in the local cloud as on AWS, and its target is the function."""
    rules = cloud.at.client("events")
    [rule] = rules.list_rules(NamePrefix=cloud.at.deployment)["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 hour)", "ENABLED")
    [target] = rules.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"].endswith(":function:desireline-dev-pull-exports")


def test_records_are_produced_to_a_topic_of_the_companys_only() -> None:
    command = [str(Path(sys.executable).with_name("desireline")), "produce", "events.received"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 2
    assert "only Desireline writes to" in done.stderr
