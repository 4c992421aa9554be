"""`desireline quarantine`: what could not be taken further, and how it counts after all."""

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
from desireline.adapters.raw_bodies import AnyOf
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
from desireline_operate.cli.times import moment, shown
from desireline_operate.deployment import Deployment

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="What could not be taken further: list, show, repair, replay.",
)

MOST = 100_000
Ids = Annotated[
    list[str] | None, typer.Argument(help="ids of cases; without, those that the options choose")
]
Source = Annotated[
    list[str] | None, typer.Option(help="only of this sender; may be given several times")
]
Stage = Annotated[
    list[str] | None,
    typer.Option(help="only what it set aside: receive, resolve, score, intervene; likewise"),
]
Reason = Annotated[
    list[str] | None, typer.Option(help="only for this reason, as the list names it; likewise")
]
Event = Annotated[
    list[str] | None, typer.Option(help="only of this name, as the sender says it; likewise")
]
Since = Annotated[str | None, typer.Option(help="arrived at or after: a time, or 4h, 2d (ago)")]
Until = Annotated[str | None, typer.Option(help="arrived before: a time, or 4h, 2d (ago)")]
Plan = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="a tracking plan with the corrected mapping"),
]
Go = Annotated[bool, typer.Option("--go", help="do it; without, only show what would come of it")]


@app.command("list")
def list_cases(
    *,
    source: Source = None,
    stage: Stage = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[State | None, typer.Option(help="only these")] = None,
    limit: Annotated[int, typer.Option(min=0, help="cases shown, newest first")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Count what is in quarantine, by kind, and list the newest cases. The last 7 days without
    --since."""
    chosen = the_deployment(deployment)
    with _told():
        filters = _filters(source, stage, reason, event, since=since, until=until, state=state)
        cases = Cases(chosen.store())
        groups, found = cases.groups(filters), cases.cases(filters, limit) if limit else []
    if as_json:
        _print_json(
            {"groups": [*map(case_json.group, groups)], "cases": [*map(case_json.case, found)]}
        )
        return
    table = Table("source", "stage", "reason", "event", "found", "repaired", "last", box=None)
    for one in groups:
        table.add_row(*one.group, str(one.total), str(one.repaired), shown(one.last))
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if groups else "Nothing is in quarantine.")
    if found:
        console.print()
        console.print(_listed(found), soft_wrap=True)


@app.command()
def show(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Show a case: the raw body, what the mapping saw of it, where in the plan it broke."""
    chosen = the_deployment(deployment)
    with _told():
        (case,) = _named(Cases(chosen.store()), [case_id])
        shower = ShowCase(bodies=_bodies(chosen), senders=compose.senders(), plan=compose.plan())
        found = case_json.shown(shower(case))
    if as_json:
        _print_json(found)
        return
    for part, said in found.items():
        console.print(part, style="bold")
        text = said if isinstance(said, str) else _json(said)
        console.print(_indented(_pretty(text) if part == "body" else text))


@app.command()
def repair(
    ids: Ids = None,
    *,
    plan: Plan = None,
    source: Source = None,
    stage: Stage = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    deployment: DeploymentName = None,
) -> None:
    """Preview a correction on the very events: before, after, and what still fails.

    The correction is another tracking plan (--plan FOLDER), or the deployed one after a fix.
    Nothing is changed.
    """
    chosen = the_deployment(deployment)
    with _told():
        cases = Cases(chosen.store())
        selected = _chosen(
            cases, ids, _filters(source, stage, reason, event, since=since, until=until)
        )
        found = _repair(chosen, cases, plan).preview(selected)
    if as_json:
        _print_json([*map(case_json.difference, found)])
        return
    for one in found:
        case = one.case
        name = Text.assemble((case.id, "bold"), f" {case.source} {case.event_name}")
        console.print(name, soft_wrap=True)
        console.print(f"  - {_outcome(one.before)}", soft_wrap=True)
        console.print(f"  + {_outcome(one.after)}", soft_wrap=True)
    failing = sum(bool(one.after.reason) for one in found)
    console.print(f"{len(found) - failing} of {len(found)} are repaired, {failing} still fail.")


@app.command()
def replay(
    ids: Ids = None,
    *,
    plan: Plan = None,
    source: Source = None,
    stage: Stage = None,
    reason: Reason = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    go: Go = False,
    deployment: DeploymentName = None,
) -> None:
    """Replay exactly the cases that are repaired, under the ids and times of their first arrival.

    They are marked: a second replay passes them over, and nothing is sent because of them. It may
    be interrupted and given again.
    """
    chosen = the_deployment(deployment)
    with _told():
        cases = Cases(chosen.store())
        selected = _chosen(
            cases, ids, _filters(source, stage, reason, event, since=since, until=until)
        )
        repairing = _repair(chosen, cases, plan)
        if not go:
            sound = sum(not one.after.reason for one in repairing.preview(selected))
            console.print(f"{sound} of {len(selected)} cases would be replayed: run it with --go.")
            return
        name = f"repair-{uuid.uuid4().hex[:12]}"
        done = None
        with console.status("replaying") as status:
            for done in repairing.replay(selected, name):
                status.update(f"replaying: {done.replayed} of {len(selected)}")
    if done is None:
        console.print("There is nothing to replay.")
        return
    marked = f", marked {name}" if done.replayed else ""
    console.print(f"{done.replayed} cases are replayed{marked}.")
    if done.already:
        console.print(f"{done.already} had been replayed before.")
    for why, count in sorted(done.failing.items()):
        console.print(f"{count} still fail: {why}")


@contextmanager
def _told() -> Any:
    """Errors as a person is told them."""
    try:
        yield
    except RetryableError as error:
        raise fail(f"stopped, and may be run again: {error}") from error
    except (InvalidPlanError, LookupError, ValueError) as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted, and may be run again")
        raise typer.Exit(130) from error


def _filters(
    source: list[str] | None,
    stage: list[str] | None,
    reason: list[str] | None,
    event: list[str] | None,
    *,
    since: str | None,
    until: str | None,
    state: State | None = None,
) -> Filters:
    last = moment(until, "--until") or time.time_ns() // 1_000_000 + 1
    return Filters(
        sources=_set(source),
        stages=_set(stage),
        reasons=_set(reason),
        events=_set(event),
        state=state,
        since=moment(since, "--since") or last - DEFAULT_DAYS * DAY,
        until=last,
    )


def _set(names: list[str] | None) -> frozenset[str] | None:
    return frozenset(names) if names else None


def _chosen(cases: Cases, ids: list[str] | None, filters: Filters) -> list[CaseRow]:
    """Those named; else all that wait and that the options choose."""
    if ids:
        return _named(cases, ids)
    return [case for case in cases.cases(filters, MOST) if not case.replayed]


def _named(cases: Cases, ids: Iterable[str]) -> list[CaseRow]:
    wanted = list(ids)
    found = cases.named(wanted)
    missing = set(wanted) - {case.id for case in found}
    if missing:
        raise LookupError(f"no such case: {', '.join(sorted(missing))}")
    return found


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


def _bodies(deployment: Deployment) -> AnyOf:
    return AnyOf(
        compose.raw_bodies(deployment, archived=False),
        compose.raw_bodies(deployment, archived=True),
    )


def _listed(cases: Iterable[CaseRow]) -> Text:
    """Two lines a case: a terminal of eighty characters holds an id and little else."""
    lines = Text()
    for case in cases:
        state = f"repaired by {case.replayed}" if case.replayed else State.OPEN.value
        lines.append(case.id, "bold")
        lines.append(f"  {shown(case.arrived)}  {case.source}  {state}\n")
        why = f"{case.reason}: {case.detail}" if case.detail else case.reason
        lines.append(f"    {case.event_name or '-'}  {why}\n")
    lines.rstrip()
    return lines


def _outcome(outcome: RepairResult) -> str:
    if outcome.reason:
        return f"{outcome.reason}: {outcome.detail}" if outcome.detail else outcome.reason
    said = []
    for event in outcome.events:
        of = event.get("event", event)
        occurred = shown(int(of["occurred_at"])) if "occurred_at" in of else ""
        said.append(f"{of.get('name', '')} {_flat(of.get('properties', {}))} {occurred}".strip())
    return "; ".join(said)


def _flat(found: Any) -> str:
    return orjson.dumps(found).decode()


def _pretty(text: str) -> str:
    try:
        return _json(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _json(found: Any) -> str:
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def _print_json(found: Any) -> None:
    sys.stdout.write(_json(found) + "\n")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
