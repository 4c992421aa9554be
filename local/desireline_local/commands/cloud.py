"""Commands that start, stop and show the local cloud."""

from __future__ import annotations

import time
from collections import deque
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from desireline_local import supervisor
from desireline_local.aws.cloud import IDLE_SECONDS
from desireline_local.cloud import Addresses
from desireline_local.commands.running import running_cloud, start_cloud, the_cloud
from desireline_local.processes import resident_bytes
from desireline_operate.cli.console import NOT_RUNNING, console, errors, fail
from desireline_operate.cli.times import format_time, parse_span
from desireline_operate.deployment import NotRunningError

MOST_AHEAD = timedelta(days=366)
"""The largest step of the clock. A longer step is likely a mistake; the clock never goes back."""


def up(
    bootstrap: Annotated[
        str | None, typer.Option(help="host:port of an existing Kafka; default: start one")
    ] = None,
    idle: Annotated[
        float,
        typer.Option(min=1, help="seconds without work after which a function ends"),
    ] = IDLE_SECONDS,
) -> None:
    """Start the local cloud in the background. The first start downloads Kafka and AWS."""
    cloud = running_cloud(unready_code=1)
    if cloud is not None:
        console.print("The local cloud is already running.")
        show_addresses(cloud.addresses)
        return
    show_addresses(start_cloud(bootstrap=bootstrap, idle=idle).addresses)
    console.print("Stop it with 'make down'.")


def down() -> None:
    """Stop the local cloud, and remove its processes and files."""
    try:
        with console.status("stopping"):
            supervisor.end()
    except NotRunningError as error:
        raise fail(str(error), NOT_RUNNING) from error
    console.print("The local cloud is down.")


def status() -> None:
    """Show the local cloud's addresses, and the progress and failures of each consumer."""
    try:
        cloud = supervisor.running()
    except NotRunningError as error:
        why = supervisor.last_failure()
        raise fail(f"{error}" + (f"\nIt ended because {why}" if why else ""), 3) from error
    show_addresses(cloud.addresses)
    table = Table("function", "topic", "records", "lag", "failures", "dead letters", box=None)
    for mapping in cloud.addresses.polling().look()["mappings"]:
        numbers = ("records", "lag", "failures", "dead_letters")
        function = mapping["function"].removeprefix(f"{cloud.addresses.deployment}-")
        table.add_row(function, mapping["topic"], *(str(mapping[name]) for name in numbers))
    console.print(table)
    rest = cloud.addresses.clock().rest()
    console.print(
        f"executions waiting: {rest['executions_waiting']}, "
        f"records in streams: {rest['stream_records']}, in queues: {rest['queued_messages']}, "
        f"memory: {resident_bytes([cloud.pid]) / 1e6:.0f} MB"
    )


def logs(
    part: Annotated[
        str | None, typer.Argument(help="name of a part; default: list the parts")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="number of lines")] = 40,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="follow the log until Ctrl-C")
    ] = False,
) -> None:
    """Show the end of a part's log, or list the parts."""
    the_cloud()
    files = supervisor.log_files()
    if part is None:
        console.print("\n".join(sorted(files)))
        return
    if part not in files:
        raise fail(f"unknown part '{part}': the parts are {', '.join(sorted(files))}", 2)
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
        str | None, typer.Option(help="freeze the clock and advance it, as 90m, 4h, 2d")
    ] = None,
) -> None:
    """Show journey time, or advance it. Executions whose time has come then run."""
    step = timedelta() if advance is None else parse_span(advance)
    if step is None or step > MOST_AHEAD:
        raise fail(f"'{advance}' is not a time span up to a year: write 90m, 4h or 2d", 2)
    control = the_cloud().addresses.clock()
    if advance is not None:
        now = control.now()
        if not control.clock()["frozen"]:
            control.freeze(now)
        control.advance(now + round(step.total_seconds() * 1000))
    state = control.clock()
    kind = "frozen, advanced by command" if state["frozen"] else "the wall clock"
    console.print(f"{format_time(state['now'])} UTC ({kind})")
    due = control.rest()["next_due"]
    if due is not None:
        console.print(f"next check due {format_time(due * 1000)} UTC")


def show_addresses(addresses: Addresses) -> None:
    """Print the addresses of the cloud."""
    lines = {
        "webhooks": f"{addresses.webhooks}/SENDER (docs/senders.md)",
        "sites, servers": f"{addresses.host}/v1/CALL (docs/http_api.md)",
        "AWS": addresses.aws,
        "Kafka": addresses.kafka,
        "warehouse": f"{addresses.warehouse} (Snowflake's protocol, http)",
        "clock, faults": addresses.control,
    }
    for name, address in lines.items():
        console.print(f"  {name:<14} {address}", soft_wrap=True)
