"""`desireline suppress`: suppress the events of and messages to a person."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.table import Table

from desireline.identity.find import alias_of
from desireline.ports import Store
from desireline.receive.suppress import aliases_of, holding, lift, suppress
from desireline.rows import SuppressionLogRow, SuppressionRow
from desireline_operate.cli.console import DeploymentName, console, fail, the_deployment
from desireline_operate.cli.times import format_time
from desireline_operate.deployment import Deployment

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Suppress people: Desireline drops their events and sends them no messages.",
)

Identifier = Annotated[
    str, typer.Argument(help="user:ID, billing:ID, crm:ID, anonymous:ID or an email")
]
Only = Annotated[
    bool, typer.Option("--only", help="only this alias, not the person's other aliases")
]


@app.command()
def add(
    identifier: Identifier,
    reason: Annotated[
        str, typer.Option(help="the reason in one word; it is stored, so write no names")
    ] = "requested",
    only: Only = False,
    deployment: DeploymentName = None,
) -> None:
    """Suppress this person from now on. It takes effect everywhere within a minute."""
    store, fragments = _person(the_deployment(deployment), identifier, only=only)
    done = suppress(store, fragments, reason=reason, now=_now_ms())
    if done:
        console.print(f"Suppressed {len(done)} of {len(fragments)} aliases of {identifier}.")
    else:
        console.print(f"{identifier} is already suppressed.")


@app.command()
def remove(identifier: Identifier, only: Only = False, deployment: DeploymentName = None) -> None:
    """Lift the suppression within a minute. Events that arrived meanwhile stay lost."""
    store, fragments = _person(the_deployment(deployment), identifier, only=only)
    done = lift(store, fragments, now=_now_ms())
    if done:
        console.print(
            f"Lifted the suppression of {len(done)} of {len(fragments)} aliases of {identifier}."
        )
    else:
        console.print(f"{identifier} is not suppressed.")


@app.command(name="list")
def show(deployment: DeploymentName = None) -> None:
    """List the suppressed aliases by their fragments. The list stores no names."""
    store = the_deployment(deployment).store()
    held = holding(store.query(SuppressionLogRow, SuppressionLogRow.partition_key()))
    rows = store.get_all([SuppressionRow.ref_to(fragment) for fragment in held])
    table = Table("alias (fragment)", "since", "reason", box=None)
    for fragment, at in sorted(held.items(), key=lambda pair: pair[1]):
        row = rows.get(SuppressionRow.ref_to(fragment))
        table.add_row(fragment, f"{format_time(at)} UTC", row.reason if row else "")
    console.print(table if held else "No person is suppressed.")


def _person(deployment: Deployment, identifier: str, *, only: bool) -> tuple[Store, list[str]]:
    """Return the store, and the fragments of the alias or of all aliases of its person."""
    store = deployment.store()
    alias = alias_of(deployment.fragments(), identifier)
    if alias is None:
        raise fail(f"'{identifier}' is not an alias: write user:ID, anonymous:ID or an email", 2)
    return store, [alias.fragment] if only else aliases_of(store, alias.type, alias.fragment)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
