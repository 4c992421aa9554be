"""`desireline plan`: check, show and release the tracking plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from desireline.plan.tracking_plan import PlannedEvent, TrackingPlan
from desireline_operate.cli.console import console, errors, fail
from desireline_operate.plan.changes import Change
from desireline_operate.plan.check import PLAN, Report, check
from desireline_operate.plan.describe import allowed, marks, source_call
from desireline_operate.plan.draft import did_you_mean
from desireline_operate.plan.releases import NoPlanError, is_released, loaded, release

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Check, show and release the tracking plan.",
)

Folder = Annotated[
    Path, typer.Option("--plan", metavar="FOLDER", help="folder of the plan", show_default=False)
]


@app.command("check")
def check_plan(
    plan: Folder = PLAN,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|VERSION|REVISION",
            help="compare with the plan in a folder, a released version or a git revision; "
            "default: the last release",
        ),
    ] = None,
    released: Annotated[
        bool, typer.Option("--released", help="also check that this exact plan is released")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print only problems")] = False,
) -> None:
    """Check the plan: print its problems, its changes and the version that they require.

    Each problem names its file and line, and says what to do. The exit code is then 2."""
    report = _checked(plan, against)
    if not quiet or report.problems:
        _show_changes(report)
    _end_if_wrong(report)
    if report.plan is None:
        return
    if released and not is_released(plan, report.plan):
        text = "is not released: run `desireline plan release`, and commit the file that it writes"
        raise fail(f"tracking plan {report.plan.version} {text}", 2)
    if not quiet:
        mappings = sum(len(sender.mappings) for sender in report.plan.senders.values())
        console.print(
            f"Tracking plan {report.plan.version}: {len(report.plan.events)} events, {mappings} "
            f"mappings of {len(report.plan.senders)} senders. No problems."
        )


@app.command("release")
def release_plan(plan: Folder = PLAN) -> None:
    """Store the plan as the release of its version. Later plans are compared with it."""
    report = _checked(plan, None)
    _end_if_wrong(report)
    if report.plan is None:
        raise fail("no plan to release: --plan names the folder that has plan.yaml", 2)
    try:
        file = release(plan, report.plan)
    except NoPlanError as error:
        raise fail(str(error), 2) from error
    result = "is already released" if file is None else f"is released: {file.name}"
    console.print(f"Tracking plan {report.plan.version} {result}.")


@app.command("list")
def list_events(
    plan: Folder = PLAN,
    category: Annotated[str | None, typer.Option(help="only events of this category")] = None,
    sender: Annotated[str | None, typer.Option(help="only events of this sender")] = None,
    conversion: Annotated[str | None, typer.Option(help="only macro or micro conversions")] = None,
    high_intent: Annotated[
        bool, typer.Option("--high-intent", help="only events of high intent")
    ] = False,
) -> None:
    """List the events of the plan with category, marks and senders."""
    whole = _loaded(plan)
    table = Table(Column("event", no_wrap=True), "category", "", "senders", box=None)
    for event in whole.events.values():
        senders = list(dict.fromkeys(name for name, _ in whole.mappings_to(event.name)))
        if category not in (None, event.category) or conversion not in (None, event.conversion):
            continue
        if (sender and sender not in senders) or (high_intent and not event.high_intent):
            continue
        table.add_row(event.name, event.category, ", ".join(marks(event)), ", ".join(senders))
    if not table.row_count:
        raise fail("no event matches these options: `desireline plan list` lists all", 2)
    console.print(table)


@app.command("show")
def show_event(event: Annotated[str, typer.Argument(metavar="EVENT")], plan: Folder = PLAN) -> None:
    """Show one event: its parameters, and the mapping of each sender."""
    whole = _loaded(plan)
    planned = whole.events.get(event)
    if planned is None:
        raise fail(f"the plan has no event {event}{did_you_mean(event, whole.events)}", 2)
    facts = ", ".join([planned.category, *marks(planned)])
    console.print(Text.assemble((planned.name, "bold"), f"  {facts}"))
    console.print(planned.description)
    if planned.parameters:
        console.print(_parameters(planned))
    for sender, mapping in whole.mappings_to(event):
        filled = ", ".join(f"{name} from {path}" for name, path in mapping.properties.items())
        line = f"From {source_call(sender, mapping)}" + (f": {filled}" if filled else "")
        console.print(line, soft_wrap=True)


def _checked(plan: Path, against: str | None) -> Report:
    """Check the plan. Ends the command with 2 if there is no plan to check or to compare with."""
    if not (plan / "plan.yaml").is_file():
        raise fail(f"{plan} has no plan.yaml: name its folder with --plan", 2)
    try:
        return check(plan, against=against)
    except NoPlanError as error:
        raise fail(str(error), 2) from error


def _loaded(plan: Path) -> TrackingPlan:
    try:
        return loaded(plan)
    except NoPlanError as error:
        raise fail(f"{error}; run `desireline plan check` for details", 2) from error


def _end_if_wrong(report: Report) -> None:
    for problem in report.problems:
        errors.print(str(problem), soft_wrap=True)
    if report.problems:
        count = len(report.problems)
        raise fail(f"the plan has {count} problem{'s' if count > 1 else ''}: correct them", 2)


def _show_changes(report: Report) -> None:
    if report.since is None:
        if report.plan is not None:
            console.print("No earlier release exists, so no changes are listed.")
        return
    breaking = [change for change in report.changes if change.breaking]
    others = [change for change in report.changes if not change.breaking]
    _show(f"Breaking changes since {report.since.name}", breaking)
    _show(f"Other changes since {report.since.name}", others)
    if not report.changes:
        console.print(f"No changes since {report.since.name}.")


def _show(title: str, changes: Sequence[Change]) -> None:
    if changes:
        console.print(f"{title} ({len(changes)}):")
    for change in changes:
        console.print(f"  {change.level.name.lower():5}  {change}", soft_wrap=True)


def _parameters(event: PlannedEvent) -> Table:
    table = Table("parameter", "type", "unit", "allowed", "", box=None)
    for name, parameter in event.parameters.items():
        notes = [
            *(["required"] if parameter.required else []),
            *(["summed"] if parameter.sum else []),
        ]
        unit = parameter.unit or ""
        table.add_row(name, parameter.type, unit, allowed(parameter), ", ".join(notes))
    return table


if __name__ == "__main__":
    app()
