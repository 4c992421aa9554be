"""`desireline quarantine`: list, show, repair and replay events that were rejected."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from desireline.adapters.clock import WallClock
from desireline.adapters.raw_bodies import FirstFound
from desireline.errors import RetryableError
from desireline.recover.quarantine import as_json as case_json
from desireline.recover.quarantine.case_details import ShowCase
from desireline.recover.quarantine.cases import Cases, Filters, State
from desireline.recover.quarantine.index_quarantine import DAY
from desireline.recover.quarantine.repair import Repair, RepairResult
from desireline.recover.quarantine.request import DEFAULT_DAYS, InvalidPlanError, read_plan
from desireline.rows import CaseRow
from desireline_operate import compose
from desireline_operate.cli.console import DeploymentName, console, errors, fail, the_deployment
from desireline_operate.cli.times import format_time, parse_time
from desireline_operate.deployment import Deployment

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List, show, repair and replay the events in quarantine.",
)

MOST = 100_000
Ids = Annotated[
    list[str] | None,
    typer.Argument(help="ids of cases; default: the cases that the options select"),
]
Source = Annotated[list[str] | None, typer.Option(help="only this sender; repeat it for several")]
Component = Annotated[
    list[str] | None,
    typer.Option(help="only this component: receive, resolve, score or intervene; repeatable"),
]
Reason = Annotated[
    list[str] | None, typer.Option(help="only this reason, as the list prints it; repeatable")
]
Event = Annotated[
    list[str] | None, typer.Option(help="only this event, by the sender's name; repeatable")
]
Since = Annotated[str | None, typer.Option(help="arrived at or after this time, or 4h, 2d ago")]
Until = Annotated[str | None, typer.Option(help="arrived before this time, or 4h, 2d ago")]
Plan = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="folder of the corrected tracking plan"),
]
Go = Annotated[bool, typer.Option("--go", help="replay; default: only count the cases")]


@app.command("list")
def list_cases(
    *,
    source: Source = None,
    component: Component = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[State | None, typer.Option(help="only cases in this state")] = None,
    limit: Annotated[int, typer.Option(min=0, help="number of cases, newest first")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Count the cases in quarantine by kind, and list the newest. Default: the last 7 days."""
    chosen = the_deployment(deployment)
    with _errors_as_messages():
        filters = _filters(source, component, reason, event, since=since, until=until, state=state)
        cases = Cases(chosen.store())
        groups, newest = cases.groups(filters), cases.cases(filters, limit) if limit else []
    if as_json:
        _print_json(
            {"groups": [*map(case_json.group, groups)], "cases": [*map(case_json.case, newest)]}
        )
        return
    table = Table("source", "component", "reason", "event", "total", "repaired", "last", box=None)
    for kind in groups:
        table.add_row(*kind.group, str(kind.total), str(kind.repaired), format_time(kind.last))
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if groups else "No cases in quarantine.")
    if newest:
        console.print()
        console.print(_case_lines(newest), soft_wrap=True)


@app.command()
def show(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Show a case: its raw body, the mapped report, and the rule of the plan that it breaks."""
    chosen = the_deployment(deployment)
    with _errors_as_messages():
        (case,) = _cases_by_id(Cases(chosen.store()), [case_id])
        shower = ShowCase(bodies=_bodies(chosen), senders=compose.senders(), plan=compose.plan())
        details = case_json.details(shower(case))
    if as_json:
        _print_json(details)
        return
    for part, value in details.items():
        console.print(part, style="bold")
        text = value if isinstance(value, str) else _json(value)
        console.print(_indented(_pretty(text) if part == "body" else text))


@app.command()
def repair(
    ids: Ids = None,
    *,
    plan: Plan = None,
    source: Source = None,
    component: Component = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Preview a correction on the cases: before, after, and the cases that still fail.

    The correction is another tracking plan (--plan FOLDER), or the deployed one after a fix.
    The command changes nothing.
    """
    chosen = the_deployment(deployment)
    with _errors_as_messages():
        cases = Cases(chosen.store())
        selected = _select_cases(
            cases, ids, _filters(source, component, reason, event, since=since, until=until)
        )
        results = _repair(chosen, cases, plan).preview(selected)
    if as_json:
        _print_json([*map(case_json.difference, results)])
        return
    for result in results:
        case = result.case
        name = Text.assemble((case.id, "bold"), f" {case.source} {case.event_name}")
        console.print(name, soft_wrap=True)
        console.print(f"  - {_outcome(result.before)}", soft_wrap=True)
        console.print(f"  + {_outcome(result.after)}", soft_wrap=True)
    failing = sum(bool(result.after.reason) for result in results)
    console.print(
        f"{len(results) - failing} of {len(results)} cases are repaired, {failing} still fail."
    )


@app.command()
def replay(
    ids: Ids = None,
    *,
    plan: Plan = None,
    source: Source = None,
    component: Component = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    go: Go = False,
    deployment: DeploymentName = None,
) -> None:
    """Replay the repaired cases with the ids and times of their first arrival.

    A second replay skips the cases that this one marks. Replayed events send no messages. If
    the command is interrupted, run it again.
    """
    chosen = the_deployment(deployment)
    with _errors_as_messages():
        cases = Cases(chosen.store())
        selected = _select_cases(
            cases, ids, _filters(source, component, reason, event, since=since, until=until)
        )
        repairing = _repair(chosen, cases, plan)
        if not go:
            sound = sum(not result.after.reason for result in repairing.preview(selected))
            console.print(
                f"{sound} of {len(selected)} cases can be replayed. Add --go to replay them."
            )
            return
        name = f"repair-{uuid.uuid4().hex[:12]}"
        done = None
        with console.status("replaying") as status:
            for done in repairing.replay(selected, name):
                status.update(f"replaying: {done.replayed} of {len(selected)}")
    if done is None:
        console.print("No cases to replay.")
        return
    marked = f", marked {name}" if done.replayed else ""
    console.print(f"Replayed {done.replayed} cases{marked}.")
    if done.already:
        console.print(f"Skipped {done.already} cases that an earlier replay has replayed.")
    for why, count in sorted(done.failing.items()):
        console.print(f"{count} cases still fail: {why}")


@contextmanager
def _errors_as_messages() -> Any:
    """Turn errors into a message and an exit code."""
    try:
        yield
    except RetryableError as error:
        raise fail(f"stopped: {error}. Run the command again") from error
    except (InvalidPlanError, LookupError, ValueError) as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted; run the command again to continue")
        raise typer.Exit(130) from error


def _filters(
    source: list[str] | None,
    component: list[str] | None,
    reason: list[str] | None,
    event: list[str] | None,
    *,
    since: str | None,
    until: str | None,
    state: State | None = None,
) -> Filters:
    last = parse_time(until, "--until") or time.time_ns() // 1_000_000 + 1
    return Filters(
        sources=_set(source),
        components=_set(component),
        reasons=_set(reason),
        events=_set(event),
        state=state,
        since=parse_time(since, "--since") or last - DEFAULT_DAYS * DAY,
        until=last,
    )


def _set(names: list[str] | None) -> frozenset[str] | None:
    return frozenset(names) if names else None


def _select_cases(cases: Cases, ids: list[str] | None, filters: Filters) -> list[CaseRow]:
    """Return the cases with these ids; without ids the open cases that the filters select."""
    if ids:
        return _cases_by_id(cases, ids)
    return [case for case in cases.cases(filters, MOST) if not case.replayed]


def _cases_by_id(cases: Cases, ids: Iterable[str]) -> list[CaseRow]:
    requested = list(ids)
    rows = cases.named(requested)
    missing = set(requested) - {case.id for case in rows}
    if missing:
        raise LookupError(
            f"unknown case: {', '.join(sorted(missing))}. "
            "List the ids with `desireline quarantine list`"
        )
    return rows


def _repair(deployment: Deployment, cases: Cases, plan: Path | None) -> Repair:
    deployed = compose.mapper(deployment)
    corrected = compose.mapper(deployment, read_plan(plan)) if plan else deployed
    return Repair(
        cases=cases,
        bodies=_bodies(deployment),
        senders=compose.senders(),
        deployed=deployed,
        corrected=corrected,
        producer=deployment.producer(),
        wall=WallClock(),
    )


def _bodies(deployment: Deployment) -> FirstFound:
    return FirstFound(
        compose.raw_bodies(deployment, archived=False),
        compose.raw_bodies(deployment, archived=True),
    )


def _case_lines(cases: Iterable[CaseRow]) -> Text:
    """Format each case in two lines, so that they fit 80 columns."""
    lines = Text()
    for case in cases:
        state = f"repaired by {case.replayed}" if case.replayed else State.OPEN.value
        lines.append(case.id, "bold")
        lines.append(f"  {format_time(case.arrived)}  {case.source}  {state}\n")
        why = f"{case.reason}: {case.detail}" if case.detail else case.reason
        lines.append(f"    {case.event_name or '-'}  {why}\n")
    lines.rstrip()
    return lines


def _outcome(outcome: RepairResult) -> str:
    if outcome.reason:
        return f"{outcome.reason}: {outcome.detail}" if outcome.detail else outcome.reason
    events = []
    for event in outcome.events:
        body = event.get("event", event)
        occurred = format_time(int(body["occurred_at"])) if "occurred_at" in body else ""
        properties = _compact_json(body.get("properties", {}))
        events.append(f"{body.get('name', '')} {properties} {occurred}".strip())
    return "; ".join(events)


def _compact_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _pretty(text: str) -> str:
    try:
        return _json(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _print_json(value: Any) -> None:
    sys.stdout.write(_json(value) + "\n")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
