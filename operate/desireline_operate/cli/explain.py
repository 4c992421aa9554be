"""`desireline explain`: everything that is known of a subject, and why each decision was made."""

from __future__ import annotations

from typing import Annotated

import typer

from desireline.identity.find import UnknownSubjectError, subject_of
from desireline.show.timeline import explain as explained
from desireline_operate.cli.console import DeploymentName, console, errors, fail, the_deployment
from desireline_operate.explain_view import rendered

HOW = (
    ": a person is user:ID or an email address, an account group:ID; "
    "what came just now takes a second or two"
)
NO_WAREHOUSE = (
    "Past events are missing: set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_PRIVATE_KEY_FILE "
    "and SNOWFLAKE_WAREHOUSE to read them."
)


def explain(
    subject: Annotated[
        str,
        typer.Argument(help="a subject's id, user:ID, billing:ID, anonymous:ID, group:ID or email"),
    ],
    deployment: DeploymentName = None,
) -> None:
    """Explain a subject: its events, links, score, and each decision with its reason."""
    chosen = the_deployment(deployment)
    store = chosen.store()
    try:
        found = subject_of(store, chosen.fragments(), subject)
        with chosen.history() as history:
            explanation = explained(store, history, found)
    except UnknownSubjectError as error:
        raise fail(f"nothing is known of '{subject}'{HOW}", 2) from error
    for part in rendered(explanation):
        console.print(part)
    if chosen.connect is None:
        errors.print(NO_WAREHOUSE)
