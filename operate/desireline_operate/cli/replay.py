"""`desireline replay`: map raw webhooks again to recover lost events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from desireline.contracts import RAW_RETENTION, TOPICS, Topic
from desireline.errors import RetryableError
from desireline.identity.find import UnknownSubjectError, fragments_of_person, fragments_of_subject
from desireline.ports import RawBodies
from desireline.recover.replay_webhooks import Counts, ReplayWebhooks, Selection
from desireline_operate import compose
from desireline_operate.cli.console import DeploymentName, console, errors, fail, the_deployment
from desireline_operate.cli.times import parse_time
from desireline_operate.deployment import Deployment
from desireline_operate.replays import EVERYTHING, StoredReplay, count_steps


class Origin(StrEnum):
    """Where a replay reads raw webhooks from."""

    KAFKA = "kafka"
    ARCHIVE = "archive"


Sources = Annotated[list[str] | None, typer.Option(help="only this sender; repeat it for several")]
Events = Annotated[
    list[str] | None, typer.Option(help="only this event of the plan; repeat it for several")
]


def replay(
    *,
    origin: Annotated[
        Origin,
        typer.Option(
            "--from",
            help=f"the topic ({TOPICS[Topic.WEBHOOKS_RAW].retention.days} days) "
            f"or the archive ({RAW_RETENTION.days} days)",
        ),
    ] = Origin.KAFKA,
    since: Annotated[
        str | None, typer.Option(help="arrived at or after: 2026-03-01T08:00, or a span back as 4h")
    ] = None,
    until: Annotated[str | None, typer.Option(help="arrived before; format as --since")] = None,
    source: Sources = None,
    event: Events = None,
    subject: Annotated[
        str | None, typer.Option(help="only this subject: its id, group:ID, user:ID or an email")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="only this person: user:ID or an email address")
    ] = None,
    rate: Annotated[int, typer.Option(min=1, help="events per second at most")] = 1_000,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="continue an interrupted replay")
    ] = None,
    deployment: DeploymentName = None,
    go: Annotated[bool, typer.Option("--go/--dry-run", help="replay; default: only count")] = False,
) -> None:
    """Map raw webhooks again and produce their events with the ids and times of their first
    arrival.

    Events that were lost count now; no event counts twice. Replayed events carry a mark, and
    no playbook starts on marked events. A replay reads the webhooks up to its start.
    """
    chosen = the_deployment(deployment)
    try:
        if resume:
            stored = StoredReplay.read(resume)
            if stored.deployment != chosen.name:
                raise ValueError(
                    f"{resume} is a replay of {stored.deployment}: name it with --deployment"
                )
        else:
            selection = _selection(chosen, source, event, subject, person)
            stored = _new_replay(chosen, origin, since, until, selection)
        counts = _run(chosen, stored, _pacer(rate), go=go or bool(resume))
    except (ValueError, OSError, UnknownSubjectError, ValidationError) as error:
        raise fail(str(error), 2) from error
    _print_counts(counts)
    if go or resume:
        console.print(f"{counts.events.total()} events are in events.received, marked {stored.id}.")
    else:
        console.print("Nothing was produced. Add --go to replay these events.")


def _selection(
    deployment: Deployment,
    sources: list[str] | None,
    events: list[str] | None,
    subject: str | None,
    person: str | None,
) -> Selection:
    fragments: frozenset[str] | None = None
    if subject and person:
        raise ValueError("--subject and --person exclude each other: give one of them")
    if identifier := subject or person:
        of = fragments_of_subject if subject else fragments_of_person
        fragments = of(deployment.store(), deployment.fragments(), identifier)
    unknown = set(sources or ()) - set(compose.senders())
    unknown |= set(events or ()) - set(compose.plan().events)
    if unknown:
        raise ValueError(f"unknown sender or event of the plan: {', '.join(sorted(unknown))}")
    return Selection(
        frozenset(sources) if sources else None, frozenset(events) if events else None, fragments
    )


def _new_replay(
    deployment: Deployment,
    origin: Origin,
    since: str | None,
    until: str | None,
    selection: Selection,
) -> StoredReplay:
    first = parse_time(since, "--since") or 0
    last = parse_time(until, "--until") or EVERYTHING
    try:
        span = _bodies(deployment, origin).span(first, last)
    except RetryableError as error:
        raise fail(f"nothing was produced: {error}. Run the command again") from error
    name = f"replay-{uuid.uuid4().hex[:12]}"
    return StoredReplay(
        id=name, deployment=deployment.name, origin=origin.value, selection=selection, left=span
    )


def _run(
    deployment: Deployment, stored: StoredReplay, pace: Callable[[int], None], *, go: bool
) -> Counts:
    use_case = ReplayWebhooks(
        bodies=_bodies(deployment, Origin(stored.origin)),
        senders=compose.senders(),
        mapper=compose.mapper(deployment),
        producer=deployment.producer(),
    )
    counts = Counts()
    total = count_steps(stored.left)
    if go:
        stored.write()
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[text]}"), TimeElapsedColumn(), console=console,
        ) as bars:  # fmt: skip
            task = bars.add_task("replaying" if go else "counting", total=total, text="")
            for step in use_case(
                stored.left, stored.selection, replay_id=stored.id, go=go, counts=counts
            ):
                stored = stored.after(step)
                if go:
                    stored.write()
                text = f"{stored.bodies} bodies, {stored.events} events"
                bars.update(task, completed=total - count_steps(step.left), text=text)
                if go:
                    pace(stored.events)
    except RetryableError as error:
        raise fail(f"stopped: {error}{_resume_hint(stored, go=go)}") from error
    except KeyboardInterrupt as error:
        errors.print(f"interrupted{_resume_hint(stored, go=go)}", soft_wrap=True)
        raise typer.Exit(130) from error
    return counts


def _resume_hint(stored: StoredReplay, *, go: bool) -> str:
    return f"; continue with: desireline replay --resume {stored.id}" if go else ""


def _bodies(deployment: Deployment, origin: Origin) -> RawBodies:
    return compose.raw_bodies(deployment, archived=origin is Origin.ARCHIVE)


def _pacer(rate: int) -> Callable[[int], None]:
    """Return a function that waits so that at most `rate` events per second are produced."""
    began = time.monotonic()

    def pace(events: int) -> None:
        time.sleep(max(0.0, began + events / rate - time.monotonic()))

    return pace


def _print_counts(counts: Counts) -> None:
    table = Table("source", "event", "events", box=None)
    for (source, name), count in sorted(counts.events.items()):
        table.add_row(source, name, str(count))
    if counts.events:
        console.print(table)
    console.print(f"{counts.events.total()} events in {counts.bodies} raw webhooks.")
    for (source, reason), count in sorted(counts.refused.items()):
        console.print(f"{count} events of {source} still break the plan: {reason}")
    if counts.unreadable:
        console.print(f"{counts.unreadable} raw webhooks are of no sender in this version.")
