"""Which deployment a command works on, and how its options name times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError

from desireline.errors import DesirelineError
from desireline_local import target
from desireline_local.cli.console import fail, the_cloud
from desireline_local.target import Target

Deployment = Annotated[
    str | None,
    typer.Option("--deployment", help="a deployment on AWS by its name; the local cloud without"),
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def the_target(deployment: str | None) -> Target:
    """What to work on, or the end of the command."""
    if deployment is None:
        return target.local(the_cloud().addresses)
    try:
        return target.on_aws(deployment)
    except (DesirelineError, BotoCoreError) as error:
        raise fail(f"no deployment '{deployment}' to be found: {error}", 2) from error


def moment(text: str | None, option: str) -> int | None:
    """A time as epoch ms: ISO 8601, UTC without a zone, or a span back from now, as in 90m, 4h,
    2d."""
    if text is None:
        return None
    if text[:-1].isdigit() and text[-1:] in _UNITS:
        found = datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    else:
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise fail(
                f"{option} '{text}' is no time: write 2026-01-05T10:00, or 90m, 4h, 2d", 2
            ) from error
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
