"""`desireline explain`: the timeline of a subject, with the reason of each decision."""

from __future__ import annotations

from typing import Annotated

import typer

from desireline.identity.find import UnknownSubjectError, subject_of
from desireline.show.timeline import read_timeline
from desireline_operate.cli.console import DeploymentName, console, errors, fail, the_deployment
from desireline_operate.explain_view import render_timeline

HINT = (
    ". Write user:ID or an email address for a person, group:ID for an account. "
    "New events appear after 1 to 2 seconds"
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
        subject_id = subject_of(store, chosen.fragments(), subject)
        with chosen.history() as history:
            timeline = read_timeline(store, history, subject_id)
    except UnknownSubjectError as error:
        raise fail(f"no data about '{subject}'{HINT}", 2) from error
    for part in render_timeline(timeline):
        console.print(part)
    if chosen.connect is None:
        errors.print(NO_WAREHOUSE)
