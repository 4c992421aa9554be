"""`desireline plan`: check the tracking plan, look into it, release it."""

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
from desireline_operate.plan.draft import meant
from desireline_operate.plan.releases import NoPlanError, is_released, loaded, release

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="The tracking plan: check it, look into it, release it.",
)

Folder = Annotated[
    Path, typer.Option("--plan", metavar="FOLDER", help="the plan's folder", show_default=False)
]


@app.command("check")
def check_plan(
    plan: Folder = PLAN,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|VERSION|REVISION",
            help="compare with the plan in a folder, a released version, or a revision of git; "
            "without it, with the last release",
        ),
    ] = None,
    released: Annotated[
        bool, typer.Option("--released", help="also that it is released, as it is")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="say only what is wrong")] = False,
) -> None:
    """Say what would break, what changed, and which version the changes ask for.

    Ends with 2 where anything is wrong, each with its file and line and what to do."""
    report = _checked(plan, against)
    if not quiet or report.problems:
        _show_changes(report)
    _end_if_wrong(report)
    if report.plan is None:
        return
    if released and not is_released(plan, report.plan):
        text = "is not released as it is: run `desireline plan release`, and commit what it keeps"
        raise fail(f"tracking plan {report.plan.version} {text}", 2)
    if not quiet:
        mappings = sum(len(words.mappings) for words in report.plan.senders.values())
        console.print(
            f"Tracking plan {report.plan.version}: {len(report.plan.events)} events, {mappings} "
            f"mappings of {len(report.plan.senders)} senders. Nothing is wrong."
        )


@app.command("release")
def release_plan(plan: Folder = PLAN) -> None:
    """Keep the plan as released under its version: later ones are compared with it."""
    report = _checked(plan, None)
    _end_if_wrong(report)
    if report.plan is None:
        raise fail("there is no plan to release", 2)
    try:
        file = release(plan, report.plan)
    except NoPlanError as error:
        raise fail(str(error), 2) from error
    said = "is released already, as it is" if file is None else f"is released: {file.name}"
    console.print(f"Tracking plan {report.plan.version} {said}.")


@app.command("list")
def list_events(
    plan: Folder = PLAN,
    category: Annotated[str | None, typer.Option(help="of this category only")] = None,
    sender: Annotated[str | None, typer.Option(help="what this sender reports only")] = None,
    conversion: Annotated[str | None, typer.Option(help="macro or micro ones only")] = None,
    high_intent: Annotated[bool, typer.Option("--high-intent", help="such ones only")] = False,
) -> None:
    """List the events: category, what is special about each, and who reports them."""
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
        raise fail("no event of the plan is like that: `desireline plan list` lists all", 2)
    console.print(table)


@app.command("show")
def show_event(event: Annotated[str, typer.Argument(metavar="EVENT")], plan: Folder = PLAN) -> None:
    """Show one event: what it carries, and what each sender calls it."""
    whole = _loaded(plan)
    found = whole.events.get(event)
    if found is None:
        raise fail(f"the plan has no event {event}{meant(event, whole.events)}", 2)
    said = ", ".join([found.category, *marks(found)])
    console.print(Text.assemble((found.name, "bold"), f"  {said}"))
    console.print(found.description)
    if found.parameters:
        console.print(_parameters(found))
    for sender, mapping in whole.mappings_to(event):
        filled = ", ".join(f"{name} from {path}" for name, path in mapping.properties.items())
        said = f"From {source_call(sender, mapping)}" + (f": {filled}" if filled else "")
        console.print(said, soft_wrap=True)


def _checked(plan: Path, against: str | None) -> Report:
    if not (plan / "plan.yaml").is_file():
        raise fail(f"{plan} has no plan.yaml: --plan names the folder that has it", 2)
    try:
        return check(plan, against=against)
    except NoPlanError as error:
        raise fail(str(error), 2) from error


def _loaded(plan: Path) -> TrackingPlan:
    try:
        return loaded(plan)
    except NoPlanError as error:
        raise fail(f"{error}; `desireline plan check` says more", 2) from error


def _end_if_wrong(report: Report) -> None:
    for problem in report.problems:
        errors.print(str(problem), soft_wrap=True)
    if report.problems:
        count = len(report.problems)
        raise fail(f"{count} thing{'s are' if count > 1 else ' is'} wrong in the plan", 2)


def _show_changes(report: Report) -> None:
    if report.since is None:
        if report.plan is not None:
            console.print("No plan was released yet: nothing to compare with.")
        return
    breaking = [change for change in report.changes if change.breaking]
    others = [change for change in report.changes if not change.breaking]
    _show(f"Breaks what relies on {report.since.name}", breaking)
    _show(f"Changed since {report.since.name}", others)
    if not report.changes:
        console.print(f"No change since {report.since.name}.")


def _show(title: str, found: Sequence[Change]) -> None:
    if found:
        console.print(f"{title} ({len(found)}):")
    for change in found:
        console.print(f"  {change.level.name.lower():5}  {change}", soft_wrap=True)


def _parameters(event: PlannedEvent) -> Table:
    table = Table("parameter", "type", "unit", "allowed", "", box=None)
    for name, one in event.parameters.items():
        notes = [*(["required"] if one.required else []), *(["summed"] if one.sum else [])]
        table.add_row(name, one.type, one.unit or "", allowed(one), ", ".join(notes))
    return table


if __name__ == "__main__":
    app()
