"""Send dead letters their way again."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from desireline.contracts import Topic
from desireline.errors import DesirelineError
from desireline.recover.redrive.follow_up import OUTCOMES, RecordOutcome, RedriveResult
from desireline.recover.redrive.redrive import Order, Report, Survey
from desireline.recover.redrive.selection import Fate, Selection
from desireline_operate.cli.console import DeploymentName, console, fail, the_deployment
from desireline_operate.cli.times import moment
from desireline_operate.compose import Redriving

ALWAYS_SHOWN = (RecordOutcome.FOLDED, RecordOutcome.DUPLICATE, RecordOutcome.FAILED)


OfTopic = Annotated[
    str | None, typer.Option("--topic", help="only of this topic, or of this table's stream")
]
OfFunction = Annotated[
    str | None,
    typer.Option("--function", help="only what this function did not take: resolve_identity"),
]
Since = Annotated[
    str | None, typer.Option(help="only set aside since: 2026-01-05T10:00 (UTC), 90m, 4h, 2d")
]
Until = Annotated[str | None, typer.Option(help="only set aside before: as --since")]
Reason = Annotated[str | None, typer.Option(help="only given up for this: RetryAttemptsExhausted")]
EventIds = Annotated[
    list[str] | None,
    typer.Option("--event-id", help="only these events; may be given several times"),
]
Limit = Annotated[int, typer.Option(min=1, help="records in one run at most")]
Rate = Annotated[float, typer.Option(min=0.1, help="records a second")]
Wait = Annotated[float, typer.Option(min=0, help="seconds to wait until all are through")]
Force = Annotated[bool, typer.Option("--force", help="also what was redriven twice and came back")]
Why = Annotated[str, typer.Option(help="what was wrong and is right now; it is kept")]
Go = Annotated[bool, typer.Option("--go", help="do it; without, only count")]


def redrive(
    *,
    topic: OfTopic = None,
    function: OfFunction = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    event_id: EventIds = None,
    limit: Limit = 10_000,
    rate: Rate = 200.0,
    wait: Wait = 600.0,
    force: Force = False,
    why: Why = "",
    deployment: DeploymentName = None,
    go: Go = False,
) -> None:
    """Count dead letters; with --go send them their way again, and wait for what comes of it.

    Each record goes to the topic it came from, with the same key and bytes; what a table's stream
    brought is handed to its function. What was counted once is not counted again, so a run may be
    interrupted at any point and repeated. Ends with 1 if a record failed again or is not through.
    """
    if go and not why.strip():
        raise fail("--go needs --why: what was wrong, and why it is right now", 2)
    selection = Selection(
        topic=topic,
        function=function,
        since=moment(since, "--since"),
        until=moment(until, "--until"),
        reason=reason,
        ids=frozenset(event_id or ()),
        limit=limit,
        force=force,
    )
    chosen = the_deployment(deployment)
    try:
        tools = Redriving(chosen)
        found = _surveyed(tools, selection)
        if found.chosen and not go:
            console.print("Nothing was done: --go does it.")
        elif found.chosen:
            order = Order(
                id=str(uuid.uuid4()),
                requested_by=chosen.operator(),
                why=why.strip(),
                rate=rate,
            )
            _gone(tools, found, order, wait)
    except DesirelineError as error:
        raise fail(f"stopped, and may be run again: {error}") from error


def _surveyed(tools: Redriving, selection: Selection) -> Survey:
    with _progress() as progress:
        found = tools.redrive.survey(selection, _bar(progress, "objects read"))
    for place in found.unreadable:
        console.print(f"no dead letter of a mapping: {place}")
    if not found.groups:
        console.print("No dead letters.")
        return found
    table = Table("function", "topic", "given up because", "versions", "age", box=None)
    for heading in ("records", "folded already"):
        table.add_column(heading, justify="right")
    table.add_column("")
    rows = sorted(found.groups.items(), key=lambda row: str(row[0]))
    for kind, count in rows:
        folded = str(found.folded[kind]) if kind.topic == Topic.EVENTS_RECEIVED else ""
        names = (kind.function, kind.topic, kind.reason, kind.version, kind.age)
        table.add_row(*names, str(count), folded, kind.fate)
    console.print(table)
    console.print(f"{len(found.chosen)} of {found.groups.total()} records to redrive.")
    if any(kind.fate is Fate.LATER for kind in found.groups):
        console.print("Run it again for those beyond the limit.")
    return found


def _gone(tools: Redriving, found: Survey, order: Order, wait: float) -> None:
    with _progress() as progress:
        sending = tools.redrive.send(found, order, _bar(progress, "sent"))
    console.print(
        f"Redrive {order.id}: {len(sending.sent)} records into their topics, "
        f"{len(sending.accepted) + len(sending.failed)} to their functions."
    )
    with _progress() as progress:
        outcome = tools.follow_up(sending, wait, _bar(progress, "through"))
    tools.redrive.record(sending, dict(outcome.total))
    _show(outcome)
    if not outcome.good:
        raise typer.Exit(1)


def _show(outcome: RedriveResult) -> None:
    words = [word for word in OUTCOMES if outcome.total[word] or word in ALWAYS_SHOWN]
    table = Table("function", "topic", box=None)
    for word in words:
        table.add_column(word, justify="right")
    places = sorted({(function, topic) for function, topic, _ in outcome.counts})
    for place in places:
        table.add_row(*place, *(str(outcome.counts[*place, word]) for word in words))
    console.print(table)


def _progress() -> Progress:
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _bar(progress: Progress, text: str) -> Report:
    task = progress.add_task(text, total=None)

    def report(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total or None, description=f"{text}: {done}")

    return report
