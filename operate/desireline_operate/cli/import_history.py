"""`desireline import`: import past events from files."""

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

from desireline.adapters.kafka_positions import KafkaPositions
from desireline.errors import DesirelineError
from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline_operate.cli.console import DeploymentName, console, fail, reason, the_deployment
from desireline_operate.deployment import Deployment
from desireline_operate.import_history import import_file as history
from desireline_operate.import_history.files import (
    Container,
    FileError,
    Format,
    digest,
    inspect_file,
)
from desireline_operate.import_history.formats import (
    FileOptions,
    MappingError,
    SourceSpec,
    read_mapping,
    time_zone,
)
from desireline_operate.import_history.journal import Journal, Totals
from desireline_operate.import_history.worker import ImportTarget, ImportTask

DRY = "dry-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """The command's options for reading files."""

    format: Format | None
    mapping: Path | None
    zone: str
    account_property: str
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The command's options for running an import. rate: events per second at most; 0: no limit.
    journals: folder of the journals. restart: ignore the journal of an earlier run."""

    rate: float
    workers: int
    rejects: Path | None
    journals: Path
    restart: bool
    plan_version: str


Files = Annotated[list[Path], typer.Argument(help="NDJSON, CSV or Parquet; gzip as well")]
Form = Annotated[
    Format | None, typer.Option("--format", help="format, if the command cannot recognise it")
]
MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", help="YAML file that maps the rows' fields to events of the plan"),
]
Zone = Annotated[str, typer.Option("--time-zone", help="time zone of the Mixpanel project")]
AccountProperty = Annotated[
    str, typer.Option(help="Mixpanel and GA4: the property that holds the account's key")
]
LeaveOut = Annotated[
    list[str] | None, typer.Option(help="an event to skip; repeat it for several events")
]
Rate = Annotated[float, typer.Option(min=0, help="events per second at most; 0: no limit")]
Workers = Annotated[int, typer.Option(min=0, max=64, help="number of processes; 0: one per core")]
RejectsFolder = Annotated[
    Path | None,
    typer.Option("--rejects", help="folder for rejected rows; default: beside each file"),
]
StateFolder = Annotated[Path | None, typer.Option("--state", help="folder of the journals")]
Restart = Annotated[bool, typer.Option("--again", help="ignore the journal of earlier runs")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="read and map all rows, send nothing")]


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
    restart: Restart = False,
    dry_run: DryRun = False,
    deployment: DeploymentName = None,
) -> None:
    """Import past events from files. They start no playbook.

    If the import is interrupted, run it again: it continues where it stopped. It counts an
    event once, even if the event came before from a file or its sender. Rejected rows go to
    FILE.rejects.ndjson with line and reason; then the exit code is 1.
    """
    read_options = ReadOptions(
        format=form,
        mapping=mapping,
        zone=time_zone,
        account_property=account_property,
        left_out=frozenset(leave_out or ()),
    )
    plan = load_plan()
    try:
        tasks = [_import_task(file, read_options, plan) for file in files]
    except (FileError, MappingError) as error:
        raise fail(str(error), 2) from error
    run_options = RunOptions(
        rate=rate,
        workers=workers or history.cores(),
        rejects=rejects,
        journals=state or user_state_path("desireline") / "imports",
        restart=restart or dry_run,
        plan_version=plan.version,
    )
    total = _run(tasks, None if dry_run else the_deployment(deployment), run_options)
    _print_totals(total, dry_run=dry_run)
    if total.rejected:
        raise typer.Exit(1)


def _run(
    tasks: Sequence[ImportTask], deployment: Deployment | None, run_options: RunOptions
) -> Totals:
    """Import all files, or end the command."""
    total = Totals()
    with ExitStack() as stack:
        try:
            target, cluster = _target(deployment)
            journals = run_options.journals
            if deployment is None:
                journals = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            processes = stack.enter_context(history.Processes(target, run_options.workers))
            for task in tasks:
                name = history.journal_name(
                    task, cluster=cluster, plan_version=run_options.plan_version
                )
                if run_options.restart:
                    (journals / name).unlink(missing_ok=True)
                total += _import_one(task, journals / name, processes, run_options)
        except DesirelineError as error:
            raise fail(f"stopped: {error}. Run the command again to continue") from error
        except FileError as error:
            raise fail(str(error), 2) from error
        except OSError as error:
            raise fail(f"{reason(error)}. Choose other folders: --rejects, --state", 2) from error
    return total


def _import_task(path: Path, read_options: ReadOptions, plan: TrackingPlan) -> ImportTask:
    """Inspect a file and build its import task. Raises FileError, MappingError."""
    mapping, file_options = None, FileOptions()
    time_zone(read_options.zone)
    if read_options.mapping is not None:
        mapping, file_options = read_mapping(read_options.mapping, plan)
    file = inspect_file(path, delimiter=file_options.delimiter)
    form = Format.MAPPED if read_options.mapping else read_options.format or file.format
    if form is None and file.container is Container.NDJSON and not isinstance(file.first, dict):
        raise FileError(
            f"the first line of {path} must be a JSON object: write one object per line, "
            "as jq -c . does"
        )
    if form is None or (form is Format.MAPPED and mapping is None):
        formats = ", ".join(name for name in Format if name is not Format.MAPPED)
        raise FileError(
            f"the format of {path} ({file.container}) was not recognised: "
            f"give --format ({formats}), or --mapping for any other format"
        )
    spec = SourceSpec(
        format=form,
        mapping=mapping,
        file=file_options,
        zone=read_options.zone,
        account_property=read_options.account_property,
        left_out=read_options.left_out,
        table=_table(path),
    )
    return ImportTask(file=file, spec=spec, digest=_digest(path))


def _table(path: Path) -> str:
    """Return the file name before its first dot: the table's name for Segment's warehouse."""
    return path.name.partition(".")[0].lower()


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error


def _target(deployment: Deployment | None) -> tuple[ImportTarget, str]:
    """Return the target of the events, and the id of its Kafka cluster."""
    mark = f"import-{uuid.uuid4()}"
    now = time.time_ns() // 1_000_000
    if deployment is None:
        target = ImportTarget(
            bootstrap="",
            auth="plaintext",
            region="",
            secret=b"nobody",
            received_at=now,
            stamped=now,
            mark=mark,
        )
        return target, DRY
    target = ImportTarget(
        bootstrap=deployment.bootstrap,
        auth=deployment.auth,
        region=deployment.region,
        secret=deployment.secret("identity"),
        received_at=deployment.clock.now(),
        stamped=now,
        mark=mark,
        suppressed=deployment.suppressions().current(),
    )
    topics = KafkaPositions(deployment.bootstrap, deployment.auth, region=deployment.region)
    return target, topics.cluster()


def _import_one(
    task: ImportTask, path: Path, processes: history.Processes, run_options: RunOptions
) -> Totals:
    """Import one file under a progress bar. path: of its journal."""
    rejects = history.rejects_path(task.file.path, run_options.rejects)
    options = history.Options(rate=run_options.rate)
    name = task.file.path.name
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Journal(path, rejects) as journal, Progress(*columns, console=console) as progress:
        if journal.finished:
            console.print(f"{name}: already imported; --again imports it again")
            return journal.totals
        if journal.done:
            console.print(f"{name}: continues after {journal.totals.accepted:,} events")
        bar = progress.add_task(name, total=1.0)

        def report(share: float, events: int) -> None:
            speed = events / max(0.001, time.monotonic() - began)
            text = f"{name}: {events:,} events, {speed:,.0f}/s"
            progress.update(bar, completed=share, description=text)

        history.import_file(task, journal, processes, options=options, report=report)
        progress.update(bar, completed=1.0)
        if journal.totals.rejected:
            console.print(f"{name}: rejected rows are in {rejects}")
        return journal.totals


def _print_totals(total: Totals, *, dry_run: bool) -> None:
    table = Table("rows", "", box=None, show_header=False)
    table.add_row(f"{total.accepted:,}", "would be sent" if dry_run else "in events.received")
    for name, count in sorted(total.left_out.items()):
        table.add_row(f"{count:,}", f"left out: {name}")
    for why, count in sorted(total.rejected.items()):
        table.add_row(f"{count:,}", f"rejected: {why}")
    console.print(table)
