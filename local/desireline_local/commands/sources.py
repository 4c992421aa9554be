"""`desireline produce` and `desireline pull`: feed the sources that are no webhooks."""

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
from desireline_local.sender_side.mixpanel import PASSWORD, PROJECT, USER, PlayedMixpanel
from desireline_operate.cli.console import console, fail

FLUSH_SECONDS = 30.0
MANY_RUNS = 100


def produce(
    topic: Annotated[str, typer.Argument(help=", ".join(COMPANY_TOPICS))],
    file: Annotated[
        Path | None, typer.Argument(help="a record a line; standard input without it")
    ] = None,
) -> None:
    """Produce records to a topic of the company's own, as its services would."""
    if topic in set(Topic):
        raise fail(f"{topic} is a topic of Desireline's: nobody else writes it", 2)
    if topic not in COMPANY_TOPICS:
        raise fail(f"no source {topic}: there are {', '.join(COMPANY_TOPICS)}", 2)
    addresses = the_cloud().addresses
    data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    lines = [line for line in data.splitlines() if line.strip()]
    producer = addresses.as_deployment().producer()
    try:
        for number, line in enumerate(lines):
            producer.produce(Outgoing(topic, str(number), line))
        producer.flush(FLUSH_SECONDS)
    except DesirelineError as error:
        raise fail(f"Kafka did not take all: {error}") from error
    console.print(f"{len(lines)} records are in {topic}.")


def pull(
    what: Annotated[Literal["mixpanel"], typer.Argument(help="whose export")],
    file: Annotated[
        Path | None,
        typer.Argument(help="lines as Mixpanel exports them: plays Mixpanel with these events"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="forget the cursor: from the first day on")
    ] = False,
) -> None:
    """Pull an export now rather than at its next hour, until all of it is there.

    It may be interrupted and repeated: what was pulled before is known by its ids.
    """
    addresses = the_cloud().addresses
    try:
        events = _events(file) if file else None
    except ValueError as error:
        raise fail(str(error), 2) from error
    if again:
        _forget(addresses)
    total: Counter[str] = Counter()
    played = _played(addresses, events) if events is not None else nullcontext()
    with played, console.status("pulling") as status:
        for _ in range(MANY_RUNS):
            said = _run(addresses)
            total.update({name: said[name] for name in ("days", "posted", "passed_over")})
            status.update(f"pulled {total['days']} days, {total['posted']} events")
            if said["stopped"] not in ("enough", "out_of_time"):
                break
    console.print(
        f"{total['days']} days pulled: {total['posted']} events posted, "
        f"{total['passed_over']} known from before."
    )
    if said["stopped"] == "unavailable" and file is None:
        raise fail(f"nobody at {addresses.mixpanel}: give a file, and Mixpanel is played with it")
    if said["stopped"]:
        raise fail(f"stopped: {said['stopped']}; the next run goes on from there")


def _events(file: Path) -> dict[str, list[bytes]]:
    """Lines by their day. Raises ValueError for what Mixpanel would not have."""
    days: dict[str, list[bytes]] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            moment = datetime.fromtimestamp(json.loads(line)["properties"]["time"], UTC)
        except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
            raise ValueError(f"{file}:{number} is no event with properties.time") from error
        days.setdefault(moment.date().isoformat(), []).append(line)
    return days


@contextmanager
def _played(addresses: Addresses, days: dict[str, list[bytes]]) -> Iterator[None]:
    """Somebody at Mixpanel's address who has these events, and the credentials to ask him."""
    addresses.client("secretsmanager").put_secret_value(
        SecretId=f"{addresses.deployment}/{SECRET}",
        SecretString=json.dumps({"username": USER, "secret": PASSWORD}),
    )
    try:
        mixpanel = PlayedMixpanel(urlsplit(addresses.mixpanel).port or 0)
    except OSError as error:
        raise fail(f"{addresses.mixpanel} is taken: {error.strerror}") from error
    for day, lines in days.items():
        mixpanel.happens(day, *lines)
    with mixpanel.playing():
        yield


def _run(addresses: Addresses) -> dict[str, Any]:
    """One run of the function."""
    name = f"{addresses.deployment}-{Function.PULL_EXPORTS.replace('_', '-')}"
    answer = addresses.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    said: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise fail(f"the function failed: {said.get('errorMessage', said)}")
    return said


def _forget(addresses: Addresses) -> None:
    store = addresses.as_deployment().store()
    row = store.get(PullRow.at("mixpanel_export", PROJECT))
    if row is not None:
        fresh = PullRow(source=row.source, project=row.project, version=row.version)
        store.write(Put(fresh))
