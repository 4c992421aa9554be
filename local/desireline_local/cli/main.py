"""`desireline`: the local cloud and what one asks of it."""

from __future__ import annotations

import typer

from desireline_local.cli import (
    ask,
    cloud,
    demo,
    history,
    plan,
    quarantine,
    redrive,
    replay,
    send,
    sources,
    suppress,
)
from desireline_local.cli.console import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Desireline on this machine: start it, send it webhooks, ask it why.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the local cloud is not running, "
    "130 interrupted.",
)
app.command()(cloud.up)
app.command()(cloud.down)
app.command()(cloud.status)
app.command()(cloud.logs)
app.command()(cloud.clock)
app.command()(send.send)
app.command()(sources.produce)
app.command()(sources.pull)
app.command()(ask.explain)
app.command()(redrive.redrive)
app.command()(replay.replay)
app.command("import")(history.import_history)
app.command()(demo.demo)
app.add_typer(plan.app, name="plan")
app.add_typer(suppress.app, name="suppress")
app.add_typer(quarantine.app, name="quarantine")

if __name__ == "__main__":
    app()
