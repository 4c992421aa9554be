"""`desireline redrive` and `desireline import` on the whole local cloud; prints what was found as
JSON.

Run by test_operators.py in a process of its own: `python -m tests.e2e.operators_run`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from click.testing import Result
from typer.testing import CliRunner

from bench.fault_run import PATIENCE, Sender
from bench.read_topic import read_topic
from desireline.contracts import Header, Table, Topic
from desireline.events import AliasType, CanonicalEvent, JourneyScored
from desireline.rows import DecisionRow, EnrolmentRow, StateRow
from desireline_local.cloud import LocalCloud
from desireline_local.demo.ledger import all_rows
from desireline_local.demo.world import CloudWorld
from desireline_operate import deployment
from desireline_operate.cli.main import app
from desireline_operate.compose import Redriving

USER = "u_redriven"


def run(*arguments: str) -> Result:
    """`desireline redrive` as a person runs it."""
    return command("redrive", *arguments)


def command(*arguments: str) -> Result:
    """A command of `desireline`."""
    done = CliRunner().invoke(app, arguments)
    sys.stderr.write(f"$ desireline {' '.join(arguments)}\n{done.output}\n")
    return done


def of_a_topic(cloud: LocalCloud) -> dict[str, Any]:
    """A record that resolve cannot handle until its retries end; the cause goes; redriven."""
    poisoned = cloud.at.as_deployment().fragments().alias(AliasType.USER, USER)
    assert poisoned is not None
    cloud.at.clock().faults(poison=poisoned.fragment)
    with Sender(cloud) as sender:
        sender.post(_call(1))
    _until_set_aside(cloud)
    cloud.at.clock().faults(poison="")
    without_why, counted = run("--go"), run()
    gone = run(
        "--go", "--why", "the table had been throttled; it has room now", "--wait", str(PATIENCE)
    )
    again = run()
    return {
        "codes": [one.exit_code for one in (without_why, counted, gone, again)],
        "counted": counted.output,
        "again": again.output,
        "outcomes": [row["outcome"] for row in _runs(cloud)],
        "redriven": _headers(cloud, Topic.EVENTS_RECEIVED, Header.REDRIVE_OF),
    }


def of_a_stream(cloud: LocalCloud) -> dict[str, Any]:
    """A change of a journey in the bucket, as Lambda writes what it gave up on; redriven."""
    with Sender(cloud) as sender, CloudWorld(cloud.at) as world:
        sender.post(_call(2))
        world.settle()
    (item,) = cloud.at.client("dynamodb").scan(TableName=cloud.at.table(Table.JOURNEYS))["Items"]
    bucket = cloud.at.as_deployment().parameter("archive", "dead-letters")
    key = "aws/lambda/mapping/shardId-0/2026/01/05/one"
    cloud.at.client("s3").put_object(Bucket=bucket, Key=key, Body=_stream_object(cloud, item))
    before = len(_scored(cloud))
    done = run("--topic", cloud.at.table(Table.JOURNEYS), "--go", "--why", "Kafka was away")
    scored = _scored(cloud)
    return {
        "code": done.exit_code,
        "announced": len(scored) - before,
        "same": scored[-1].subject == item["subject"]["S"],
    }


def of_history(cloud: LocalCloud, folder: Path) -> dict[str, Any]:
    """A history whose trials began a moment ago, and a line that is none; imported twice."""
    calls = [orjson.loads(_call(number, user=f"past-{number % 50}")) for number in range(400)]
    archive = folder / "archive.ndjson"
    archive.write_bytes(b"\n".join([*map(orjson.dumps, calls), b"{"]))
    told = ("import", str(archive), "--state", str(folder / "state"))
    before = _counted(cloud)
    first = command(*told)
    with CloudWorld(cloud.at) as world:
        world.settle()
    counted = _counted(cloud) - before
    again, anew = command(*told), command(*told, "--again")
    with CloudWorld(cloud.at) as world:
        world.settle()
    rows = all_rows(cloud.at, Table.INTERVENTIONS)
    enrolled = [row for row in rows if isinstance(row, EnrolmentRow)]
    reasons = {row.reason for row in rows if isinstance(row, DecisionRow)}
    return {
        "codes": [first.exit_code, again.exit_code, anew.exit_code],
        "said": first.output + again.output,
        "counted": counted,
        "after": _counted(cloud) - before,
        "enrolled": len([row for row in enrolled if row.entry_id not in _live(cloud)]),
        "replays": "replay" in reasons,
    }


def _counted(cloud: LocalCloud) -> int:
    rows = [row for row in all_rows(cloud.at, Table.STATES) if isinstance(row, StateRow)]
    return sum(sum(row.state.counts.values()) for row in rows)


def _live(cloud: LocalCloud) -> set[str]:
    """The ids of what senders delivered: events, and crossings of the subjects they moved."""
    live = {
        CanonicalEvent.decode(message.value()).event_id
        for message in _messages(cloud, Topic.EVENTS_RECEIVED)
        if Header.REPLAY not in dict(message.headers() or ())
    }
    return live | {
        JourneyScored.decode(message.value()).id
        for message in _messages(cloud, Topic.JOURNEYS_SCORED)
        if Header.REPLAY not in dict(message.headers() or ())
    }


def _call(number: int, *, user: str = USER) -> bytes:
    return orjson.dumps(
        {
            "type": "track",
            "messageId": f"{user}-{number}",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "userId": user,
            "event": "Trial Started",
            "properties": {"plan": "trial"},
            "context": {"groupId": "acme"},
        }
    )


def _until_set_aside(cloud: LocalCloud) -> None:
    bucket = Redriving(cloud.at.as_deployment()).bucket
    until = time.monotonic() + PATIENCE
    while not any(True for _ in bucket.objects()):
        assert time.monotonic() < until, "the poisoned record was not set aside"
        time.sleep(0.5)


def _runs(cloud: LocalCloud) -> list[dict[str, Any]]:
    bucket = Redriving(cloud.at.as_deployment()).bucket
    return [orjson.loads(note) for note in bucket.notes("redrives/runs/")]


def _stream_object(cloud: LocalCloud, item: dict[str, Any]) -> bytes:
    table = cloud.at.table(Table.JOURNEYS)
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-01-01T00:00:00.000"
    record = {
        "eventID": "one",
        "eventName": "INSERT",
        "eventSourceARN": arn,
        "dynamodb": {
            "ApproximateCreationDateTime": time.time(),
            "NewImage": item,
            "SequenceNumber": "1",
        },
    }
    name = f"{cloud.at.deployment}-publish-changes"
    context = {
        "functionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 1001,
    }
    return json.dumps(
        {
            "requestContext": context,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "DDBStreamBatchInfo": {"streamArn": arn},
            "payload": json.dumps({"Records": [record]}),
        }
    ).encode()


def _scored(cloud: LocalCloud) -> list[JourneyScored]:
    return [
        JourneyScored.decode(message.value()) for message in _messages(cloud, Topic.JOURNEYS_SCORED)
    ]


def _headers(cloud: LocalCloud, topic: Topic, name: str) -> list[str]:
    """The values of a header on a topic, where there is one."""
    found = [dict(message.headers() or ()) for message in _messages(cloud, topic)]
    return [headers[name].decode() for headers in found if name in headers]


def _messages(cloud: LocalCloud, topic: Topic) -> list[Any]:
    return sorted(read_topic(cloud.bootstrap, topic), key=lambda message: message.timestamp())


def main() -> None:
    """Both, on a cloud of their own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud(Path(folder) / "cloud", warehouse=False) as cloud,
    ):
        deployment.running = cloud.at.as_deployment
        found = {
            "topic": of_a_topic(cloud),
            "stream": of_a_stream(cloud),
            "history": of_history(cloud, Path(folder)),
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
