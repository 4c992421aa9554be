"""`desireline demo`: replay a simulated company through the local cloud."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from desireline.adapters.warehouse_history import WarehouseHistory
from desireline.rows import DecisionRow, JourneyRow, Outcome
from desireline.show.timeline import read_timeline
from desireline_learning.simulator.company import Company
from desireline_learning.simulator.scenario import Scenario
from desireline_local import supervisor
from desireline_local.cloud import Addresses
from desireline_local.commands.cloud import show_addresses
from desireline_local.commands.running import running_cloud, start_cloud
from desireline_local.demo import report
from desireline_local.demo.drive import DriveProgress
from desireline_local.demo.latency import by_stage
from desireline_local.demo.run import Run, replay
from desireline_local.demo.world import SettleError
from desireline_operate.cli.console import console, fail
from desireline_operate.explain_view import timeline_table
from desireline_operate.warehouse.connection import rows
from desireline_operate.warehouse.funnel import reference_funnel

FUNNEL_DAYS = 10
SIGNUP_DAYS = 4
"""Trials sign up on the first 4 days. A story of fewer days has a shorter funnel window."""


def demo(
    trials: Annotated[int, typer.Option(min=1, help="trials of the simulated company")] = 30,
    days: Annotated[
        float, typer.Option(min=1, help="length of the story in days of journey time")
    ] = 14,
    seed: Annotated[
        int, typer.Option(help="seed of the company; another seed draws another company")
    ] = 7,
    keep: Annotated[
        bool, typer.Option("--keep", help="leave the cloud running afterwards")
    ] = False,
) -> None:
    """Replay a simulated company through the local cloud, and show the results.

    The exit code is 0 only if every check at the end passes.
    """
    began = time.monotonic()
    if running_cloud(unready_code=2) is not None:
        raise fail(
            "the demo starts its own local cloud: stop the running one with 'desireline down'", 2
        )
    company = Company(Scenario(trials=trials, days=days, seed=seed))
    console.print(
        f"A simulated company: {trials} trials in {days:g} days, "
        f"{len(company.deliveries)} webhooks from Segment and Stripe."
    )
    addresses = start_cloud(warm=True).addresses
    try:
        run = _replay(addresses, company)
        with closing(addresses.connect()) as connection:
            for part in _sections(addresses, company, run, connection):
                console.print(part)
        passed = _verdict(run)
    except SettleError as error:
        raise fail(f"the pipeline does not finish: {error}. See 'desireline logs'") from error
    finally:
        if not keep:
            supervisor.end()
    console.print(f"\nWhole demo: {time.monotonic() - began:.0f} s.")
    if keep:
        show_addresses(addresses)
    else:
        console.print("To try it yourself, run 'make up' and follow the README.")
    if not passed:
        raise typer.Exit(1)


def _replay(addresses: Addresses, company: Company) -> Run:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(), console=console,
    ) as bars:  # fmt: skip
        task = bars.add_task("replaying", total=len(company.deliveries))

        def show(progress: DriveProgress) -> None:
            day = datetime.fromtimestamp(progress.now / 1000, UTC)
            bars.update(
                task, completed=progress.delivered, description=f"journey time {day:%b %d %H:%M}"
            )

        run = replay(addresses, company, show)
    span = company.scenario.days
    console.print(
        f"{run.progress.total} webhooks and {span:g} days of checks in {run.seconds:.0f} s, "
        f"{run.progress.rounds} rounds of virtual time."
    )
    return run


def _sections(
    addresses: Addresses, company: Company, run: Run, connection: Any
) -> Iterator[RenderableType]:
    yield from report.alerts(run)
    yield from _story(addresses, connection, run)
    yield from report.tiers(run)
    yield from report.decisions(run)
    window = max(1, min(FUNNEL_DAYS, int(company.scenario.days) - SIGNUP_DAYS))
    funnel = reference_funnel(connection, window_days=window, as_of=company.scenario.end)
    yield from report.funnel(funnel, window)
    yield from report.latencies(by_stage(connection))
    yield from report.quarantine(
        run,
        rows(
            connection,
            "select source, event_name, reason, payload:detail::varchar"
            " from raw.events_quarantined",
        ),
    )


def _story(addresses: Addresses, connection: Any, run: Run) -> Iterator[RenderableType]:
    """Render the timeline of one trial that became a hot lead, if possible one that paid."""
    hot = [
        row.subject
        for row in run.interventions
        if isinstance(row, DecisionRow)
        and row.playbook == "hot_lead"
        and row.outcome is Outcome.SENT
    ]
    if not hot:
        return
    journeys = {row.subject: row for row in run.journeys if isinstance(row, JourneyRow)}
    paid = [it for it in hot if it in journeys and journeys[it].current.lifecycle == "customer"]
    store = addresses.as_deployment().store()
    timeline = read_timeline(store, WarehouseHistory(connection), (paid or hot)[0])
    yield report.heading("One trial, from the first anonymous visit to its outcome")
    yield timeline_table(timeline)


def _verdict(run: Run) -> bool:
    console.print(report.heading("Checks"))
    checks = report.checks(run)
    for passed, text in checks:
        mark = ("yes", "green") if passed else ("NO ", "red")
        console.print(Text.assemble("  ", mark, f"  {text}"))
    return all(passed for passed, _ in checks)
