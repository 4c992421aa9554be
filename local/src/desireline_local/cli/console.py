"""What all commands share: the console, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from desireline_local.supervisor import NotRunningError, Running, running

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

NOT_RUNNING = 3
"""Exit codes: 0 done, 1 tried and failed, 2 asked for what there is not, 3 no running cloud."""


def fail(message: str, code: int = 1) -> typer.Exit:
    """Say what is wrong; raise what this returns."""
    errors.print(f"[red]desireline:[/red] {message}", soft_wrap=True)
    return typer.Exit(code)


def the_cloud() -> Running:
    """The running cloud, or the end of the command."""
    try:
        return running()
    except NotRunningError as error:
        raise fail(str(error), NOT_RUNNING) from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends a command with 130 and without a traceback."""
    try:
        yield
    except KeyboardInterrupt as error:
        errors.print("interrupted")
        raise typer.Exit(130) from error
