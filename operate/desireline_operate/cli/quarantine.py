"""`desireline quarantine`: list, show, repair and replay events that were rejected."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from desireline.recover.quarantine.cases import State
from desireline.recover.quarantine.request import QuarantineRequest
from desireline_operate.cli.console import (
    INTERRUPTED,
    DeploymentName,
    console,
    errors,
    fail,
    the_deployment,
)
from desireline_operate.cli.times import format_time, parse_time
from desireline_operate.quarantine_client import (
    InvalidQuarantineRequestError,
    QuarantineApiError,
    QuarantineClient,
    plan_files,
)

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
Limit = Annotated[int, typer.Option(min=1, help="number of cases at most, newest first")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
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
    as_json: Json = False,
    deployment: DeploymentName = None,
) -> None:
    """Count the cases in quarantine by kind, and list the newest. Default: the last 7 days."""
    filters = _filters(source, component, reason, event, since=since, until=until, state=state)
    groups: list[dict[str, Any]] = []
    newest: list[dict[str, Any]] = []
    with _api(deployment) as api, errors.status("listing") as status:
        for answer in api.list(filters, limit):
            groups += answer.get("groups", [])
            newest += answer["cases"]
            status.update(f"listing: {len(newest)} cases")
    if as_json:
        _print_json({"groups": groups, "cases": newest})
        return
    columns = ("source", "component", "reason", "event", "total", "repaired")
    table = Table(*columns, "last", box=None)
    for group in groups:
        table.add_row(*(str(group[name]) for name in columns), format_time(group["last"]))
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if groups else "No cases in quarantine.")
    if newest:
        console.print()
        console.print(_case_lines(newest), soft_wrap=True)


@app.command()
def show(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Json = False,
    deployment: DeploymentName = None,
) -> None:
    """Show a case: its raw body, the mapped report, and the rule of the plan that it breaks."""
    with _api(deployment) as api:
        details = api.show(case_id)
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
    limit: Limit = MOST,
    as_json: Json = False,
    deployment: DeploymentName = None,
) -> None:
    """Preview a correction on the cases: before, after, and the cases that still fail.

    The correction is another tracking plan (--plan FOLDER), or the deployed one after a fix.
    The command changes nothing.
    """
    filters = _filters(source, component, reason, event, since=since, until=until)
    differences: list[dict[str, Any]] = []
    with _api(deployment) as api, errors.status("mapping") as status:
        for answer in api.preview(ids or [], filters, limit, _plan_files(plan)):
            differences += answer["cases"]
            status.update(f"mapping: {len(differences)} cases")
    if as_json:
        _print_json(differences)
        return
    for difference in differences:
        case = f" {difference['source']} {difference['event']}"
        console.print(Text.assemble((difference["id"], "bold"), case), soft_wrap=True)
        console.print(f"  - {_result(difference['before'])}", soft_wrap=True)
        console.print(f"  + {_result(difference['after'])}", soft_wrap=True)
    failing = sum("reason" in difference["after"] for difference in differences)
    console.print(
        f"{len(differences) - failing} of {len(differences)} cases are repaired, "
        f"{failing} still fail."
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
    limit: Limit = MOST,
    go: Go = False,
    deployment: DeploymentName = None,
) -> None:
    """Replay the repaired cases with the ids and times of their first arrival.

    A second replay skips the cases that this one marks. Replayed events send no messages. If
    the command is interrupted, run it again.
    """
    filters = _filters(source, component, reason, event, since=since, until=until)
    repaired = failing = replayed = already = 0
    name = ""
    reasons: Counter[str] = Counter()
    with _api(deployment) as api, errors.status("replaying" if go else "mapping") as status:
        files = _plan_files(plan)
        if not go:
            for answer in api.preview(ids or [], filters, limit, files):
                repaired += answer["repaired"]
                failing += answer["failing"]
                status.update(f"mapping: {repaired + failing} cases")
            console.print(
                f"{repaired} of {repaired + failing} cases can be replayed. "
                "Add --go to replay them."
            )
            return
        for answer in api.replay(ids or [], filters, limit, files):
            name = answer["replay"]
            replayed += answer["replayed"]
            already += answer["already"]
            reasons.update(answer["failing"])
            status.update(f"replaying: {replayed} cases")
    if not (replayed or already or reasons):
        console.print("No cases to replay.")
        return
    marked = f", marked {name}" if replayed else ""
    console.print(f"Replayed {replayed} cases{marked}.")
    if already:
        console.print(f"Skipped {already} cases that an earlier replay has replayed.")
    for why, count in sorted(reasons.items()):
        console.print(f"{count} cases still fail: {why}")


@contextmanager
def _api(deployment: str | None) -> Iterator[QuarantineClient]:
    """Open the quarantine API. Turn errors into a message and an exit code."""
    try:
        yield QuarantineClient(the_deployment(deployment))
    except QuarantineApiError as error:
        raise fail(str(error)) from error
    except InvalidQuarantineRequestError as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted; run the command again to continue")
        raise typer.Exit(INTERRUPTED) from error


def _filters(
    source: list[str] | None,
    component: list[str] | None,
    reason: list[str] | None,
    event: list[str] | None,
    *,
    since: str | None,
    until: str | None,
    state: State | None = None,
) -> QuarantineRequest:
    return QuarantineRequest(
        source=_set(source),
        component=_set(component),
        reason=_set(reason),
        event=_set(event),
        state=state,
        since=parse_time(since, "--since"),
        until=parse_time(until, "--until"),
    )


def _set(names: list[str] | None) -> frozenset[str] | None:
    return frozenset(names) if names else None


def _plan_files(folder: Path | None) -> dict[str, str]:
    return plan_files(folder) if folder else {}


def _case_lines(cases: Iterable[Mapping[str, Any]]) -> Text:
    """Format each case in two lines, so that they fit 80 columns."""
    lines = Text()
    for case in cases:
        state = f"repaired by {case['replayed']}" if "replayed" in case else State.OPEN.value
        lines.append(case["id"], "bold")
        lines.append(f"  {format_time(case['arrived'])}  {case['source']}  {state}\n")
        lines.append(f"    {case['event_name'] or '-'}  {_reason(case)}\n")
    lines.rstrip()
    return lines


def _result(result: Mapping[str, Any]) -> str:
    """Format the result of a case: its failure, or its events."""
    if "reason" in result:
        return _reason(result)
    events = []
    for event in result["events"]:
        body = event.get("event", event)
        occurred = format_time(int(body["occurred_at"])) if "occurred_at" in body else ""
        properties = _compact_json(body.get("properties", {}))
        events.append(f"{body.get('name', '')} {properties} {occurred}".strip())
    return "; ".join(events)


def _reason(failure: Mapping[str, Any]) -> str:
    detail = failure.get("detail")
    return f"{failure['reason']}: {detail}" if detail else str(failure["reason"])


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
