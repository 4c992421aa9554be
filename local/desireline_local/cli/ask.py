"""Ask why."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from desireline_local import backends
from desireline_local.cli.console import console, fail, the_cloud
from desireline_local.explain import UnknownSubjectError, WarehouseHistory, find_subject
from desireline_local.explain import explain as explained
from desireline_local.explain_view import rendered

HOW = (
    ": a person is user:ID or an email address, an account group:ID; "
    "what came just now takes a second or two"
)


def explain(
    subject: Annotated[
        str,
        typer.Argument(help="a subject's id, user:ID, billing:ID, anonymous:ID, group:ID or email"),
    ],
) -> None:
    """Explain a subject: its events, links, score, and each decision with its reason."""
    addresses = the_cloud().addresses
    store = backends.store(addresses)
    try:
        named = find_subject(store, backends.fragments(addresses), subject)
        with closing(backends.warehouse(addresses)) as warehouse:
            found = explained(store, WarehouseHistory(warehouse), named)
    except UnknownSubjectError as error:
        raise fail(f"nothing is known of '{subject}'{HOW}", 2) from error
    for part in rendered(found):
        console.print(part)
