"""Access to the running cloud, for the local and the operators' commands."""

from __future__ import annotations

from desireline_local import supervisor
from desireline_local.supervisor import Running
from desireline_operate.cli.console import NOT_RUNNING, fail
from desireline_operate.deployment import Deployment, NotRunningError


def running_deployment() -> Deployment:
    """Return the running cloud as a deployment. Raises NotRunningError."""
    return supervisor.running().addresses.as_deployment()


def the_cloud() -> Running:
    """Return the running cloud, or end the command."""
    try:
        return supervisor.running()
    except NotRunningError as error:
        raise fail(str(error), NOT_RUNNING) from error
