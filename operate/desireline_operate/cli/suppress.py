"""`desireline suppress`: of whom nothing is taken any more."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table

from desireline.identity.find import alias_of
from desireline.ports import Store
from desireline.receive.suppress import aliases_of, holding, lift, suppress
from desireline.rows import EdgeSuppressionRow, SuppressionRow
from desireline_operate.cli.console import DeploymentName, console, fail, the_deployment
from desireline_operate.cli.times import shown
from desireline_operate.deployment import Deployment

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="People of whom nothing is taken: at the door, and at the gate before every send.",
)

Who = Annotated[str, typer.Argument(help="user:ID, billing:ID, crm:ID, anonymous:ID or an email")]
Only = Annotated[
    bool, typer.Option("--only", help="this alias alone, not all that are known of the person")
]


@app.command()
def add(
    who: Who,
    reason: Annotated[
        str, typer.Option(help="why, in a word; it is stored, so name nobody")
    ] = "requested",
    only: Only = False,
    deployment: DeploymentName = None,
) -> None:
    """Take nothing of this person any more; it holds everywhere within a minute."""
    store, found = _person(the_deployment(deployment), who, only=only)
    done = suppress(store, found, reason=reason, now=_now())
    _tell(who, len(done), len(found), "suppressed from now on", "was suppressed already")


@app.command()
def remove(who: Who, only: Only = False, deployment: DeploymentName = None) -> None:
    """Take this person's events again, within a minute. What was refused meanwhile is gone."""
    store, found = _person(the_deployment(deployment), who, only=only)
    done = lift(store, found, now=_now())
    _tell(who, len(done), len(found), "no longer suppressed", "was not suppressed")


@app.command(name="list")
def show(deployment: DeploymentName = None) -> None:
    """List the suppressed aliases: their fragments, for the list knows no names."""
    store = the_deployment(deployment).store()
    held = holding(store.query(EdgeSuppressionRow, EdgeSuppressionRow.partition_key()))
    rows = store.get_all([SuppressionRow.place(who) for who in held])
    table = Table("alias (fragment)", "since", "reason", box=None)
    for who, at in sorted(held.items(), key=lambda pair: pair[1]):
        row = rows.get(SuppressionRow.place(who))
        table.add_row(who, f"{shown(at)} UTC", row.reason if row else "")
    console.print(table if held else "Nobody is suppressed.")


def _person(deployment: Deployment, who: str, *, only: bool) -> tuple[Store, list[str]]:
    """The tables, and the fragments that are meant."""
    store = deployment.store()
    alias = alias_of(deployment.fragments(), who)
    if alias is None:
        raise fail(f"{who} is no alias of anybody: write user:ID, anonymous:ID or an email", 2)
    return store, [alias.fragment] if only else aliases_of(store, alias.type, alias.fragment)


def _tell(who: str, done: int, of: int, what: str, else_: str) -> None:
    console.print(f"{who} {else_}." if not done else f"{done} of {of} aliases of {who}: {what}.")


def _now() -> int:
    return time.time_ns() // 1_000_000
