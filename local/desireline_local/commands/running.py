"""Access to the running cloud, for the local and the operators' commands."""

from __future__ import annotations

import time
from typing import Any

from desireline_local import supervisor
from desireline_local.supervisor import Running, StartError, UnreadyError
from desireline_operate.cli.console import NOT_RUNNING, console, fail
from desireline_operate.deployment import Deployment, NotRunningError


def running_cloud(*, unready_code: int) -> Running | None:
    """Return the running cloud, or None. If it is still starting, end the command with a code."""
    try:
        return supervisor.running()
    except UnreadyError as error:
        raise fail(str(error), unready_code) from error
    except NotRunningError:
        return None


def start_cloud(**options: Any) -> Running:
    """Start a cloud with the options of `supervisor.start`, or end the command."""
    began = time.monotonic()
    try:
        with console.status("starting the local cloud") as status:
            cloud = supervisor.start(lambda line: status.update(f"starting: {line}"), **options)
    except StartError as error:
        raise fail(f"the local cloud did not start: {error}") from error
    console.print(f"Local cloud ready after {time.monotonic() - began:.0f} s.")
    return cloud


def running_deployment() -> Deployment:
    """Return the running cloud as a deployment. Raises NotRunningError."""
    return supervisor.running().addresses.as_deployment()


def the_cloud() -> Running:
    """Return the running cloud, or end the command."""
    try:
        return supervisor.running()
    except NotRunningError as error:
        raise fail(str(error), NOT_RUNNING) from error
