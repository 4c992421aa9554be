"""`desireline`: the operators' commands, and the commands that installed packages register."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from desireline_operate.cli import (
    explain,
    import_history,
    plan,
    quarantine,
    redrive,
    replay,
    suppress,
)
from desireline_operate.cli.console import Commands

REGISTERED = "desireline.commands"
"""The entry point group whose entries add one command each, such as the local cloud's."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Start Desireline on this machine, send it webhooks, operate it, explain its decisions.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the local cloud is not running, "
    "130 interrupted.",
)
for entry in entry_points(group=REGISTERED):
    app.command(entry.name)(entry.load())
app.command()(explain.explain)
app.command()(redrive.redrive)
app.command()(replay.replay)
app.command("import")(import_history.import_history)
app.add_typer(plan.app, name="plan")
app.add_typer(suppress.app, name="suppress")
app.add_typer(quarantine.app, name="quarantine")

if __name__ == "__main__":
    app()
