"""`desireline redrive`: send dead letters to their topics and functions again."""

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
from desireline_operate.cli.times import parse_time
from desireline_operate.compose import Redriving

ALWAYS_SHOWN = (RecordOutcome.FOLDED, RecordOutcome.DUPLICATE, RecordOutcome.FAILED)


OfTopic = Annotated[
    str | None, typer.Option("--topic", help="only this topic, or this table's stream")
]
OfFunction = Annotated[
    str | None,
    typer.Option("--function", help="only dead letters of this function, as resolve_identity"),
]
Since = Annotated[
    str | None, typer.Option(help="only written since: 2026-01-05T10:00 (UTC), 90m, 4h, 2d")
]
Until = Annotated[str | None, typer.Option(help="only written before; format as --since")]
Reason = Annotated[str | None, typer.Option(help="only this reason, as RetryAttemptsExhausted")]
EventIds = Annotated[
    list[str] | None,
    typer.Option("--event-id", help="only this event; repeat it for several"),
]
Limit = Annotated[int, typer.Option(min=1, help="records per run at most")]
Rate = Annotated[float, typer.Option(min=0.1, help="records per second")]
Wait = Annotated[float, typer.Option(min=0, help="seconds to wait for the outcome")]
Force = Annotated[bool, typer.Option("--force", help="also records that failed after two redrives")]
Why = Annotated[str, typer.Option(help="the cause and its fix; it is stored")]
Go = Annotated[bool, typer.Option("--go", help="send the records; default: only count")]


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
    """Count dead letters; with --go send them again, and wait for the outcome.

    A Kafka record goes to its topic with the same key and bytes. A record of a table's stream
    goes to its function. No event counts twice, so an interrupted run can be repeated. The
    exit code is 1 if a record fails again or is still under way at the end.
    """
    if go and not why.strip():
        raise fail("--go needs --why: state the cause of the failures and its fix", 2)
    selection = Selection(
        topic=topic,
        function=function,
        since=parse_time(since, "--since"),
        until=parse_time(until, "--until"),
        reason=reason,
        ids=frozenset(event_id or ()),
        limit=limit,
        force=force,
    )
    chosen = the_deployment(deployment)
    try:
        tools = Redriving(chosen)
        survey = _survey(tools, selection)
        if survey.chosen and not go:
            console.print("Nothing was sent. Add --go to send these records.")
        elif survey.chosen:
            operator = chosen.operator()
            order = Order(id=str(uuid.uuid4()), requested_by=operator, why=why.strip(), rate=rate)
            _send_and_wait(tools, survey, order, wait)
    except DesirelineError as error:
        raise fail(f"stopped: {error}. Run the command again to continue") from error


def _survey(tools: Redriving, selection: Selection) -> Survey:
    with _progress() as progress:
        survey = tools.redrive.survey(selection, _bar(progress, "objects read"))
    for key in survey.unreadable:
        console.print(f"skipped, not a dead letter of an event source mapping: {key}")
    if not survey.groups:
        console.print("No dead letters.")
        return survey
    table = Table("function", "topic", "given up because", "versions", "age", box=None)
    for heading in ("records", "folded already"):
        table.add_column(heading, justify="right")
    table.add_column("")
    rows = sorted(survey.groups.items(), key=lambda row: str(row[0]))
    for kind, count in rows:
        folded = str(survey.folded[kind]) if kind.topic == Topic.EVENTS_RECEIVED else ""
        names = (kind.function, kind.topic, kind.reason, kind.version, kind.age)
        table.add_row(*names, str(count), folded, kind.fate)
    console.print(table)
    console.print(f"{len(survey.chosen)} of {survey.groups.total()} records to redrive.")
    if any(kind.fate is Fate.LATER for kind in survey.groups):
        console.print("Run the command again for the records beyond --limit.")
    return survey


def _send_and_wait(tools: Redriving, survey: Survey, order: Order, wait: float) -> None:
    with _progress() as progress:
        sending = tools.redrive.send(survey, order, _bar(progress, "sent"))
    console.print(
        f"Redrive {order.id}: {len(sending.sent)} records into their topics, "
        f"{len(sending.accepted) + len(sending.failed)} to their functions."
    )
    with _progress() as progress:
        outcome = tools.follow_up(sending, wait, _bar(progress, "through"))
    tools.redrive.record(sending, dict(outcome.total))
    _print_outcome(outcome)
    if not outcome.good:
        raise typer.Exit(1)


def _print_outcome(outcome: RedriveResult) -> None:
    columns = [name for name in OUTCOMES if outcome.total[name] or name in ALWAYS_SHOWN]
    table = Table("function", "topic", box=None)
    for name in columns:
        table.add_column(name, justify="right")
    targets = sorted({(function, topic) for function, topic, _ in outcome.counts})
    for target in targets:
        table.add_row(*target, *(str(outcome.counts[*target, name]) for name in columns))
    console.print(table)


def _progress() -> Progress:
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _bar(progress: Progress, text: str) -> Report:
    task = progress.add_task(text, total=None)

    def report(done: int, total: int) -> None:
        progress.update(task, completed=done, total=total or None, description=f"{text}: {done}")

    return report
