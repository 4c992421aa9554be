"""Start, stop and look at the local cloud."""

from __future__ import annotations

import time
from collections import deque
from datetime import timedelta
from typing import Annotated

import psutil
import typer
from rich.table import Table

from desireline_local import supervisor
from desireline_local.aws.cloud import IDLE_SECONDS
from desireline_local.cloud import Addresses
from desireline_local.commands.running import the_cloud
from desireline_local.supervisor import StartError, UnreadyError
from desireline_operate.cli.console import NOT_RUNNING, console, errors, fail
from desireline_operate.cli.times import shown, span
from desireline_operate.deployment import NotRunningError

MOST_AHEAD = timedelta(days=366)
"""That the clock moves at once: trials are long over by then, and it never goes back."""


def up(
    bootstrap: Annotated[
        str | None, typer.Option(help="host:port of a Kafka that you already have")
    ] = None,
    idle: Annotated[
        float, typer.Option(min=1, help="seconds after which a function without work ends")
    ] = IDLE_SECONDS,
) -> None:
    """Start the local cloud and leave it running; the first time it downloads what it needs."""
    try:
        found = supervisor.running()
    except UnreadyError as error:
        raise fail(str(error)) from error
    except NotRunningError:
        pass
    else:
        console.print("The local cloud is already running.")
        show_addresses(found.addresses)
        return
    began = time.monotonic()
    try:
        with console.status("starting") as status:
            found = supervisor.start(status.update, bootstrap=bootstrap, idle=idle)
    except StartError as error:
        raise fail(f"the local cloud did not start: {error}") from error
    console.print(f"Ready after {time.monotonic() - began:.0f} s.")
    show_addresses(found.addresses)
    console.print("Stop it with 'make down'.")


def down() -> None:
    """Stop the local cloud. No process and no file of it is left."""
    try:
        with console.status("stopping"):
            supervisor.end()
    except NotRunningError as error:
        raise fail(str(error), NOT_RUNNING) from error
    console.print("The local cloud is down.")


def status() -> None:
    """Show whether the local cloud runs, where, and how far each consumer is."""
    try:
        found = supervisor.running()
    except NotRunningError as error:
        why = supervisor.last_failure()
        raise fail(f"{error}" + (f"\nIt ended because {why}" if why else ""), 3) from error
    show_addresses(found.addresses)
    table = Table("function", "topic", "records", "lag", "failures", "dead letters", box=None)
    for mapping in found.addresses.polling().look()["mappings"]:
        numbers = ("records", "lag", "failures", "dead_letters")
        function = mapping["function"].removeprefix(f"{found.addresses.deployment}-")
        table.add_row(function, mapping["topic"], *(str(mapping[name]) for name in numbers))
    console.print(table)
    rest = found.addresses.clock().rest()
    console.print(
        f"executions waiting: {rest['executions_waiting']}, "
        f"records in streams: {rest['stream_records']}, in queues: {rest['queued_messages']}, "
        f"memory: {_memory(found.pid) / 1e6:.0f} MB"
    )


def logs(
    part: Annotated[
        str | None, typer.Argument(help="one of the parts that 'desireline logs' lists")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="how many from the end")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until Ctrl-C")] = False,
) -> None:
    """Show the end of a part's log; without a part, list them."""
    the_cloud()
    files = supervisor.log_files()
    if part is None:
        console.print("\n".join(sorted(files)))
        return
    if part not in files:
        raise fail(f"no part '{part}'; there are {', '.join(sorted(files))}", 2)
    with files[part].open(errors="replace") as file:
        last = deque(file, maxlen=lines)
        if not (last or follow):
            errors.print(f"{part} has logged nothing.")
        for line in last:
            console.print(line.rstrip(), soft_wrap=True)
        while follow:
            line = file.readline()
            if line:
                console.print(line.rstrip(), soft_wrap=True)
            else:
                time.sleep(0.2)


def clock(
    advance: Annotated[
        str | None, typer.Option(help="move journey time on, as in 90m, 4h, 2d; freezes the clock")
    ] = None,
) -> None:
    """Show journey time, or move it: what waits for a time that has come is then checked."""
    on = timedelta() if advance is None else span(advance)
    if on is None or on > MOST_AHEAD:
        raise fail(f"'{advance}' is no span of time up to a year: write 90m, 4h or 2d", 2)
    control = the_cloud().addresses.clock()
    if advance is not None:
        now = control.now()
        if not control.clock()["frozen"]:
            control.freeze(now)
        control.advance(now + round(on.total_seconds() * 1000))
    state = control.clock()
    kind = "moved by hand" if state["frozen"] else "the wall clock"
    console.print(f"{shown(state['now'])} UTC ({kind})")
    due = control.rest()["next_due"]
    if due is not None:
        console.print(f"next check due {shown(due * 1000)} UTC")


def show_addresses(addresses: Addresses) -> None:
    """Where everything is."""
    places = {
        "webhooks": f"{addresses.webhooks}/SENDER (docs/senders.md)",
        "sites, servers": f"{addresses.host}/v1/CALL (docs/http_api.md)",
        "AWS": addresses.aws,
        "Kafka": addresses.kafka,
        "warehouse": f"{addresses.warehouse} (Snowflake's protocol, http)",
        "clock, faults": addresses.control,
    }
    for name, place in places.items():
        console.print(f"  {name:<14} {place}", soft_wrap=True)


def _memory(pid: int) -> int:
    head = psutil.Process(pid)
    total = 0
    for process in (head, *head.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
