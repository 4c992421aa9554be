"""Which deployment a command works on."""

from __future__ import annotations

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


def the_target(deployment: str | None) -> Target:
    """What to work on, or the end of the command."""
    if deployment is None:
        return target.local(the_cloud().addresses)
    try:
        return target.on_aws(deployment)
    except (DesirelineError, BotoCoreError) as error:
        raise fail(f"no deployment '{deployment}' to be found: {error}", 2) from error
