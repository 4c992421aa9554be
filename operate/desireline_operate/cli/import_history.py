"""Import history."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_state_path
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from desireline.adapters.kafka_positions import KafkaPlaces
from desireline.errors import DesirelineError
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline_operate.cli.console import DeploymentName, console, fail, reason, the_deployment
from desireline_operate.deployment import Deployment
from desireline_operate.import_history import import_file as history
from desireline_operate.import_history.files import Container, FileError, Format, digest, look_at
from desireline_operate.import_history.formats import (
    FileWords,
    MappingError,
    SourceSpec,
    read_mapping,
    time_zone,
)
from desireline_operate.import_history.journal import Journal, Totals
from desireline_operate.import_history.worker import Place, Work

DRY = "dry-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options say of how files are read."""

    format: Format | None
    mapping: Path | None
    zone: str
    account_property: str
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How an import is run."""

    rate: float
    workers: int
    rejects: Path | None
    journals: Path
    again: bool
    plan_version: str


Files = Annotated[list[Path], typer.Argument(help="NDJSON, CSV or Parquet; gzip as well")]
Form = Annotated[
    Format | None, typer.Option("--format", help="what they hold, where that cannot be seen")
]
MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", help="YAML: where things are in a row, and what they are"),
]
Zone = Annotated[str, typer.Option("--time-zone", help="of the Mixpanel project")]
AccountProperty = Annotated[
    str, typer.Option(help="the property that holds an account's key, in Mixpanel and GA4")
]
LeaveOut = Annotated[
    list[str] | None, typer.Option(help="an event that is not wanted; may be given several times")
]
Rate = Annotated[float, typer.Option(min=0, help="events a second at most; 0: no limit")]
Workers = Annotated[int, typer.Option(min=0, max=64, help="processes; 0: one for each core")]
RejectsFolder = Annotated[
    Path | None, typer.Option("--rejects", help="folder for rows not taken; else beside the file")
]
StateFolder = Annotated[Path | None, typer.Option("--state", help="folder of the journals")]
Again = Annotated[bool, typer.Option("--again", help="forget what was imported before")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="read and map everything, send nothing")]


def import_history(
    *,
    files: Files,
    form: Form = None,
    mapping: MappingFile = None,
    time_zone: Zone = "UTC",
    account_property: AccountProperty = "",
    leave_out: LeaveOut = None,
    rate: Rate = 0,
    workers: Workers = 0,
    rejects: RejectsFolder = None,
    state: StateFolder = None,
    again: Again = False,
    dry_run: DryRun = False,
    deployment: DeploymentName = None,
) -> None:
    """Import months of past events from files; they start no playbook.

    Interrupted or killed, run it again: it goes on where it was. An event that has come before,
    from a file or from its sender, is counted once. Rows that cannot be taken go to
    FILE.rejects.ndjson with line and reason. Ends with 1 if there are any.
    """
    wanted = Wanted(
        format=form,
        mapping=mapping,
        zone=time_zone,
        account_property=account_property,
        left_out=frozenset(leave_out or ()),
    )
    plan = load_plan()
    try:
        works = [_work(file, wanted, plan) for file in files]
    except (FileError, MappingError) as error:
        raise fail(str(error), 2) from error
    how = How(
        rate=rate,
        workers=workers or history.cores(),
        rejects=rejects,
        journals=state or user_state_path("desireline") / "imports",
        again=again or dry_run,
        plan_version=plan.version,
    )
    total = _run(works, None if dry_run else the_deployment(deployment), how)
    _show(total, dry_run=dry_run)
    if total.rejected:
        raise typer.Exit(1)


def _run(works: Sequence[Work], deployment: Deployment | None, how: How) -> Totals:
    """Import them all, or end the command."""
    total = Totals()
    with ExitStack() as stack:
        try:
            place, cluster = _place(deployment)
            journals = how.journals
            if deployment is None:
                journals = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            processes = stack.enter_context(history.Processes(place, how.workers))
            for work in works:
                name = history.journal_name(work, cluster=cluster, plan_version=how.plan_version)
                if how.again:
                    (journals / name).unlink(missing_ok=True)
                total += _imported(work, journals / name, processes, how)
        except DesirelineError as error:
            raise fail(f"stopped, and may be run again: {error}") from error
        except FileError as error:
            raise fail(str(error), 2) from error
        except OSError as error:
            raise fail(f"{reason(error)}: see --rejects and --state", 2) from error
    return total


def _work(path: Path, wanted: Wanted, plan: TrackingPlan) -> Work:
    words, told = None, FileWords()
    time_zone(wanted.zone)
    if wanted.mapping is not None:
        words, told = read_mapping(wanted.mapping, plan)
    file = look_at(path, delimiter=told.delimiter)
    form = Format.MAPPED if wanted.mapping else wanted.format or file.format
    if form is None and file.container is Container.NDJSON and not isinstance(file.first, dict):
        raise FileError(
            f"the first line of {path} is no JSON object: write one object a line, as jq -c . does"
        )
    if form is None or (form is Format.MAPPED and words is None):
        known = ", ".join(one for one in Format if one is not Format.MAPPED)
        raise FileError(
            f"{path} ({file.container}) is of no format that can be recognised: "
            f"--format is one of {known}, and --mapping says how to read any other"
        )
    spec = SourceSpec(
        format=form,
        words=words,
        file=told,
        zone=wanted.zone,
        account_property=wanted.account_property,
        left_out=wanted.left_out,
        table=_table(path),
    )
    return Work(file=file, spec=spec, digest=_digest(path))


def _table(path: Path) -> str:
    """The name before the first dot: of a table, if it is one of Segment's warehouse."""
    return path.name.partition(".")[0].lower()


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error


def _place(deployment: Deployment | None) -> tuple[Place, str]:
    """Where events go, and the name of the Kafka cluster."""
    mark = f"import-{uuid.uuid4()}"
    now = time.time_ns() // 1_000_000
    if deployment is None:
        place = Place(
            bootstrap="",
            auth="plaintext",
            region="",
            secret=b"nobody",
            received_at=now,
            stamped=now,
            mark=mark,
        )
        return place, DRY
    place = Place(
        bootstrap=deployment.bootstrap,
        auth=deployment.auth,
        region=deployment.region,
        secret=deployment.secret("identity"),
        received_at=deployment.clock.now(),
        stamped=now,
        mark=mark,
        suppressed=deployment.suppressions().current(),
    )
    places = KafkaPlaces(deployment.bootstrap, deployment.auth, region=deployment.region)
    return place, places.cluster()


def _imported(work: Work, path: Path, processes: history.Processes, how: How) -> Totals:
    rejects = history.rejects_beside(work.file.path, how.rejects)
    options = history.Options(rate=how.rate)
    name = work.file.path.name
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Journal(path, rejects) as journal, Progress(*columns, console=console) as progress:
        if journal.finished:
            console.print(f"{name}: imported before; --again does it again")
            return journal.totals
        if journal.done:
            console.print(f"{name}: going on after {journal.totals.accepted:,} events")
        task = progress.add_task(name, total=1.0)

        def report(share: float, events: int) -> None:
            speed = events / max(0.001, time.monotonic() - began)
            text = f"{name}: {events:,} events, {speed:,.0f}/s"
            progress.update(task, completed=share, description=text)

        history.import_file(work, journal, processes, options=options, report=report)
        progress.update(task, completed=1.0)
        if journal.totals.rejected:
            console.print(f"{name}: rows not taken are in {rejects}")
        return journal.totals


def _show(total: Totals, *, dry_run: bool) -> None:
    table = Table("rows", "", box=None, show_header=False)
    table.add_row(f"{total.accepted:,}", "would be sent" if dry_run else "in events.received")
    for name, count in sorted(total.left_out.items()):
        table.add_row(f"{count:,}", f"left out: {name}")
    for why, count in sorted(total.rejected.items()):
        table.add_row(f"{count:,}", f"not taken: {why}")
    console.print(table)
