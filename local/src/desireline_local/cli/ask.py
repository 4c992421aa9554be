"""Ask why, redrive."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from rich.table import Table

from desireline.errors import UnavailableError
from desireline_local import backends
from desireline_local.cli.console import console, fail, the_cloud
from desireline_local.explain import UnknownSubjectError, WarehouseHistory, find_subject
from desireline_local.explain import explain as explained
from desireline_local.explain_view import rendered
from desireline_local.redrive import redrive as redriven


def explain(
    subject: Annotated[
        str,
        typer.Argument(help="a subject's id, user:ID, billing:ID, anonymous:ID, group:ID or email"),
    ],
) -> None:
    """Explain a subject: its events, links, score, and each decision with its reason."""
    addresses = the_cloud().addresses
    store = backends.store(addresses)
    history = WarehouseHistory(backends.warehouse(addresses))
    try:
        found = explained(
            store, history, find_subject(store, backends.fragments(addresses), subject)
        )
    except UnknownSubjectError as error:
        raise fail(str(error), 2) from error
    for part in rendered(found):
        console.print(part)


def redrive(
    go: Annotated[bool, typer.Option("--go", help="do it; without, only count")] = False,
) -> None:
    """Put what lies in the on-failure bucket into its topic again, same key and bytes, marked.

    What was counted before is not counted again, so it may be repeated and interrupted.
    """
    addresses = the_cloud().addresses
    try:
        done = redriven(
            backends.S3DeadLetters(addresses),
            backends.producer(addresses),
            redrive_id=str(uuid.uuid4()),
            go=go,
            report=lambda key: console.print(f"redriven {key}"),
        )
    except (UnavailableError, ValueError) as error:
        raise fail(f"stopped, and may be run again: {error}") from error
    if not done.found:
        console.print("No dead letters.")
        return
    table = Table("function", "topic", "given up because", "records", box=None)
    for (function, topic, condition), count in sorted(done.found.items()):
        table.add_row(function, topic, condition, str(count))
    console.print(table)
    if go:
        console.print(f"{done.produced} records of {done.objects} objects are in their topics.")
    else:
        console.print("Nothing was done: run it with --go.")
