"""`desireline replay`: raw webhooks again, so that what was lost counts."""

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
from desireline_operate.cli.times import moment
from desireline_operate.deployment import Deployment
from desireline_operate.replays import EVERYTHING, Kept, size


class Origin(StrEnum):
    """Where raw webhooks lie."""

    KAFKA = "kafka"
    ARCHIVE = "archive"


Sources = Annotated[
    list[str] | None, typer.Option(help="only of this sender; may be given several times")
]
Events = Annotated[
    list[str] | None, typer.Option(help="only this event of the plan; may be given several times")
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
        str | None, typer.Option(help="arrived at or after: 2026-03-01T08:00, or 4h (ago)")
    ] = None,
    until: Annotated[str | None, typer.Option(help="arrived before")] = None,
    source: Sources = None,
    event: Events = None,
    subject: Annotated[
        str | None, typer.Option(help="of a subject: its id, group:ID, user:ID, an email address")
    ] = None,
    person: Annotated[
        str | None, typer.Option(help="of a person: user:ID, an email address")
    ] = None,
    rate: Annotated[int, typer.Option(min=1, help="events a second at most")] = 1_000,
    resume: Annotated[
        str | None, typer.Option(metavar="ID", help="go on with a replay that was given up")
    ] = None,
    deployment: DeploymentName = None,
    go: Annotated[bool, typer.Option("--go/--dry-run", help="do it; without, only count")] = False,
) -> None:
    """Map raw webhooks again and produce their events again, under the ids and times of their
    first arrival.

    What was counted is not counted again; what was lost is counted. Nothing is sent: the events
    carry a mark that no playbook starts on. It reads what there was when it began.
    """
    chosen = the_deployment(deployment)
    try:
        if resume:
            kept = Kept.read(resume)
            if kept.deployment != chosen.name:
                raise ValueError(f"{resume} is a replay of {kept.deployment}")
        else:
            selection = _selection(chosen, source, event, subject, person)
            kept = _begun(chosen, origin, since, until, selection)
        counts = _work(chosen, kept, _paced(rate), go=go or bool(resume))
    except (ValueError, OSError, UnknownSubjectError, ValidationError) as error:
        raise fail(str(error), 2) from error
    _show(counts)
    if go or resume:
        console.print(f"{counts.events.total()} events are in events.received, marked {kept.id}.")
    else:
        console.print("Nothing was done: run it with --go.")


def _selection(
    deployment: Deployment,
    sources: list[str] | None,
    events: list[str] | None,
    subject: str | None,
    person: str | None,
) -> Selection:
    found: frozenset[str] | None = None
    if subject and person:
        raise ValueError("--subject or --person, not both")
    if asked := subject or person:
        of = fragments_of_subject if subject else fragments_of_person
        found = of(deployment.store(), deployment.fragments(), asked)
    unknown = set(sources or ()) - set(compose.senders())
    unknown |= set(events or ()) - set(compose.plan().events)
    if unknown:
        raise ValueError(f"neither a sender nor an event of the plan: {', '.join(sorted(unknown))}")
    return Selection(
        frozenset(sources) if sources else None, frozenset(events) if events else None, found
    )


def _begun(
    deployment: Deployment,
    origin: Origin,
    since: str | None,
    until: str | None,
    selection: Selection,
) -> Kept:
    first = moment(since, "--since") or 0
    last = moment(until, "--until") or EVERYTHING
    try:
        span = _bodies(deployment, origin).span(first, last)
    except RetryableError as error:
        raise fail(f"nothing was done: {error}") from error
    name = f"replay-{uuid.uuid4().hex[:12]}"
    return Kept(
        id=name, deployment=deployment.name, origin=origin.value, selection=selection, left=span
    )


def _work(deployment: Deployment, kept: Kept, pace: Callable[[int], None], *, go: bool) -> Counts:
    use_case = ReplayWebhooks(
        bodies=_bodies(deployment, Origin(kept.origin)),
        senders=compose.senders(),
        mapper=compose.mapper(deployment),
        producer=deployment.producer(),
    )
    counts = Counts()
    total = size(kept.left)
    if go:
        kept.write()
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[said]}"), TimeElapsedColumn(), console=console,
        ) as bars:  # fmt: skip
            task = bars.add_task("replaying" if go else "counting", total=total, said="")
            for step in use_case(
                kept.left, kept.selection, replay_id=kept.id, go=go, counts=counts
            ):
                kept = kept.after(step)
                if go:
                    kept.write()
                said = f"{kept.bodies} bodies, {kept.events} events"
                bars.update(task, completed=total - size(step.left), said=said)
                if go:
                    pace(kept.events)
    except RetryableError as error:
        raise fail(f"stopped: {error}{_how_to_go_on(kept, go=go)}") from error
    except KeyboardInterrupt as error:
        errors.print(f"interrupted{_how_to_go_on(kept, go=go)}", soft_wrap=True)
        raise typer.Exit(130) from error
    return counts


def _how_to_go_on(kept: Kept, *, go: bool) -> str:
    return f"; go on with: desireline replay --resume {kept.id}" if go else ""


def _bodies(deployment: Deployment, origin: Origin) -> RawBodies:
    return compose.raw_bodies(deployment, archived=origin is Origin.ARCHIVE)


def _paced(rate: int) -> Callable[[int], None]:
    """Waits until so many events may have been produced."""
    began = time.monotonic()

    def pace(events: int) -> None:
        time.sleep(max(0.0, began + events / rate - time.monotonic()))

    return pace


def _show(counts: Counts) -> None:
    table = Table("source", "event", "events", box=None)
    for (source, name), count in sorted(counts.events.items()):
        table.add_row(source, name, str(count))
    if counts.events:
        console.print(table)
    console.print(f"{counts.events.total()} events in {counts.bodies} raw webhooks.")
    for (source, reason), count in sorted(counts.refused.items()):
        console.print(f"{count} of {source} stay out of the plan: {reason}")
    if counts.unreadable:
        console.print(f"{counts.unreadable} raw webhooks cannot be read by any sender any more.")
