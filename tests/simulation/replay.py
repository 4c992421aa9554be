"""Replay a seed: `python -m tests.simulation.replay SEED [--whole] [--only TEXT] [--broken
NAME]`."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer

from tests.simulation.history import Case, judge, shrunk, told
from tests.simulation.mutations_of_time import ALL


def replay(
    seed: Annotated[int, typer.Argument(help="The seed that a test has named.")],
    whole: Annotated[bool, typer.Option(help="Do not shrink the history first.")] = False,
    only: Annotated[str, typer.Option(help="Print only steps that hold this text.")] = "",
    broken: Annotated[str, typer.Option(help="Break a rule: part of a mutation's name.")] = "",
) -> None:
    """Run the history of a seed again, make it small, and print every step of it.

    Exit code 1 if a property is broken.
    """
    case = Case.of(seed)
    with pytest.MonkeyPatch.context() as patch:
        for mutation in ALL:
            if broken and broken in mutation.name:
                typer.echo(f"broken: {mutation.name}")
                mutation.apply(patch)
                case = mutation.case(seed)
        world, violations = judge(case)
        if violations and not whole:
            case = shrunk(case, say=lambda line: typer.echo(f"shrinking: {line}"))
            world, violations = judge(case)
    for line in world.scheduler.trace:
        if only in line:
            typer.echo(line)
    typer.echo(told(case))
    for name, what in violations:
        typer.echo(f"BROKEN {name}: {what}")
    raise typer.Exit(1 if violations else 0)


if __name__ == "__main__":
    typer.run(replay)
