"""`desireline produce` and `desireline pull`: feed the sources other than webhooks."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from desireline.adapters.mixpanel import SECRET
from desireline.contracts import Function, Topic
from desireline.errors import DesirelineError
from desireline.records import Outgoing
from desireline.rows import Put
from desireline.rows.sources import PullRow
from desireline_local.cloud import COMPANY_TOPICS, Addresses
from desireline_local.commands.running import the_cloud
from desireline_local.sender_side.mixpanel import PASSWORD, PROJECT, USER, MixpanelStandIn
from desireline_operate.cli.console import console, fail

FLUSH_SECONDS = 30.0
MANY_RUNS = 100


def produce(
    topic: Annotated[str, typer.Argument(help=", ".join(COMPANY_TOPICS))],
    file: Annotated[
        Path | None, typer.Argument(help="file with a record per line; default: standard input")
    ] = None,
) -> None:
    """Produce records to one of the company's own topics, as its services would."""
    sources = ", ".join(COMPANY_TOPICS)
    if topic in set(Topic):
        raise fail(f"only Desireline writes to {topic}: choose one of {sources}", 2)
    if topic not in COMPANY_TOPICS:
        raise fail(f"unknown source {topic}: choose one of {sources}", 2)
    addresses = the_cloud().addresses
    data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    lines = [line for line in data.splitlines() if line.strip()]
    producer = addresses.as_deployment().producer()
    try:
        for number, line in enumerate(lines):
            producer.produce(Outgoing(topic, str(number), line))
        producer.flush(FLUSH_SECONDS)
    except DesirelineError as error:
        raise fail(f"Kafka did not accept all records: {error}. Run it again") from error
    console.print(f"{len(lines)} records are in {topic}.")


def pull(
    source: Annotated[Literal["mixpanel"], typer.Argument(help="the source of the export")],
    file: Annotated[
        Path | None,
        typer.Argument(help="file in Mixpanel's export format, which a stand-in then serves"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--again", help="start again from the first day")
    ] = False,
) -> None:
    """Pull all days of an export now, without waiting for the hourly run.

    If the command is interrupted, run it again: no event counts twice.
    """
    addresses = the_cloud().addresses
    try:
        events = _events(file) if file else None
    except ValueError as error:
        raise fail(str(error), 2) from error
    if restart:
        _forget(addresses)
    total: Counter[str] = Counter()
    stand_in = _stand_in(addresses, events) if events is not None else nullcontext()
    with stand_in, console.status("pulling") as status:
        for _ in range(MANY_RUNS):
            result = _run(addresses)
            total.update({name: result[name] for name in ("days", "posted", "passed_over")})
            status.update(f"pulled {total['days']} days, {total['posted']} events")
            if result["stopped"] not in ("enough", "out_of_time"):
                break
    console.print(
        f"{total['days']} days pulled: {total['posted']} events posted, "
        f"{total['passed_over']} known from before."
    )
    if result["stopped"] == "unavailable" and file is None:
        raise fail(f"Mixpanel does not answer at {addresses.mixpanel}: give a file to serve")
    if result["stopped"]:
        raise fail(f"stopped: {result['stopped']}. Run the command again to continue")


def _events(file: Path) -> dict[str, list[bytes]]:
    """Group lines by day. Raises ValueError for a line that Mixpanel would not export."""
    days: dict[str, list[bytes]] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            moment = datetime.fromtimestamp(json.loads(line)["properties"]["time"], UTC)
        except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise ValueError(
                f"{file}:{number} must be a JSON object with properties.time in seconds"
            ) from error
        days.setdefault(moment.date().isoformat(), []).append(line)
    return days


@contextmanager
def _stand_in(addresses: Addresses, days: dict[str, list[bytes]]) -> Iterator[None]:
    """Serve these events at Mixpanel's address, and store the credentials for it."""
    addresses.client("secretsmanager").put_secret_value(
        SecretId=f"{addresses.deployment}/{SECRET}",
        SecretString=json.dumps({"username": USER, "secret": PASSWORD}),
    )
    try:
        mixpanel = MixpanelStandIn(urlsplit(addresses.mixpanel).port or 0)
    except OSError as error:
        raise fail(
            f"cannot listen at {addresses.mixpanel}: {error.strerror}. Stop the other process"
        ) from error
    for day, lines in days.items():
        mixpanel.add_events(day, *lines)
    with mixpanel.serving():
        yield


def _run(addresses: Addresses) -> dict[str, Any]:
    """Invoke the function once, and return its result."""
    name = f"{addresses.deployment}-{Function.PULL_EXPORTS.replace('_', '-')}"
    answer = addresses.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise fail(f"the function failed: {result.get('errorMessage', result)}")
    return result


def _forget(addresses: Addresses) -> None:
    """Reset the cursor of the pulled days."""
    store = addresses.as_deployment().store()
    row = store.get(PullRow.ref_to("mixpanel_export", PROJECT))
    if row is not None:
        fresh = PullRow(source=row.source, project=row.project, version=row.version)
        store.write(Put(fresh))
