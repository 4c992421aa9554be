"""Figures of the warehouse, on the stand-in: loading files from S3, the reference funnel.

They say what the stand-in does on this machine, nothing about Snowflake.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from desireline.adapters.s3 import S3Blobs
from desireline.archive.archive_history import ArchiveHistory
from desireline.contracts import Topic
from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer, ResolvedEvent
from desireline.records import Record
from desireline_local.aws.cloud import LocalAws
from desireline_local.processes import spawn
from desireline_local.warehouse.connection import connect
from desireline_local.warehouse.migrate import variables
from desireline_local.warehouse.part import WarehousePart
from desireline_local.warehouse.pipe import pipes
from desireline_local.warehouse.snowpipe import PIPES, Snowpipe
from desireline_operate.warehouse.connection import rows
from desireline_operate.warehouse.funnel import STEPS, reference_funnel

Row = dict[str, Any]

ARRIVALS = "arn:aws:sns:us-east-1:000000000000:arrivals"
BUCKET = "warehouse-bench"
FILES, LINES = 4, 10_000
EVENTS = 1_000_000
SUBJECTS = 50_000
ROUNDS = 5
START = 1_772_000_000_000
LIMIT_SECONDS = 2.0


class _Uncounted:
    def count(self, name: str, value: int = 1, **_: str) -> None:
        pass


def _row(name: str, value: float, unit: str) -> Row:
    """A row without peer and target."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": None,
        "peer_value": None,
        "ratio": None,
        "target": None,
        "met": None,
    }


def measure() -> list[Row]:
    """`warehouse.load_rate` in rows/s and `warehouse.funnel_1m` in s (the median of five)."""
    with tempfile.TemporaryDirectory() as home, _warehouse(Path(home)) as warehouse:
        with LocalAws(Path(home) / "aws") as aws, closing(aws.client("s3")) as s3:
            rate = _load_rate(warehouse, s3)
        seconds = _funnel(warehouse)
    funnel = _row("warehouse.funnel_1m", seconds, "s")
    funnel.update(target=f"<= {LIMIT_SECONDS:.0f} s", met=seconds <= LIMIT_SECONDS)
    return [_row("warehouse.load_rate", rate, "rows/s"), funnel]


@contextmanager
def _warehouse(home: Path) -> Iterator[Any]:
    part = WarehousePart(home / "warehouse")
    try:
        part.launch()
        part.wait()
        log = home / "migrations.log"
        command = [sys.executable, "-m", "desireline_local.warehouse.migrate"]
        migration = spawn([*command, str(part.port), ARRIVALS, f"s3://{BUCKET}"], log=log)
        if migration.wait(60):
            raise RuntimeError(log.read_text()[-2000:])
        with closing(connect(part.port)) as connection:
            yield connection
    finally:
        part.stop()


def _load_rate(warehouse: Any, s3: Any) -> float:
    """Rows a second from the archive's files, as ArchiveHistory writes them, to the raw table."""
    s3.create_bucket(Bucket=BUCKET)
    archive = ArchiveHistory(blobs=S3Blobs(s3, BUCKET), metrics=_Uncounted())
    keys = [archive(_records(number))[0] for number in range(FILES)]
    pipe = Snowpipe(warehouse, s3, pipes(PIPES, variables(ARRIVALS, f"s3://{BUCKET}")))
    began = time.perf_counter()
    loads = [pipe.ingest(BUCKET, key) for key in keys]
    elapsed = time.perf_counter() - began
    if sum(load.rows for load in loads) != FILES * LINES:
        raise RuntimeError(f"not all rows were loaded: {loads}")
    return FILES * LINES / elapsed


def _records(file: int) -> list[Record]:
    found = []
    for offset in range(file * LINES, (file + 1) * LINES):
        event = CanonicalEvent(
            event_id=f"event-{offset}",
            name=STEPS[offset % len(STEPS)],
            category="product",
            source="segment",
            occurred_at=START + offset,
            received_at=START + offset,
            aliases=(Alias(type=AliasType.USER, value=f"u-{offset}", fragment=f"f-{offset}"),),
            properties={"page": "/settings", "number": offset},
            raw=RawPointer(id=f"raw-{offset}"),
        )
        resolved = ResolvedEvent(event=event, person=f"f-{offset}", subject=f"s-{offset}")
        found.append(
            Record(Topic.EVENTS_RESOLVED, 0, offset, START + offset, b"k", resolved.encode())
        )
    return found


def _funnel(warehouse: Any) -> float:
    """Seconds of the reference funnel over a million events of fifty thousand subjects."""
    warehouse.cursor().execute("delete from raw.events_resolved")
    names = " ".join(f"when {index} then '{name}'" for index, name in enumerate(STEPS))
    start = f"dateadd('second', n % {SUBJECTS} * 7919 % 2592000, '2026-02-01'::timestamp_ntz)"
    at = f"dateadd('second', iff(n < {SUBJECTS}, 0, n * 48271 % 1728000), {start})"
    warehouse.cursor().execute(
        "insert into raw.events_resolved (event_id, name, subject, occurred_at, topic_partition,"
        " topic_offset, record_at, payload, source_file, source_row, loaded_at)"
        f" select 'event-' || n, case iff(n < {SUBJECTS}, 0, 1 + n * 48271 % 1000003 % 16) {names}"
        f" else 'page_viewed' end, 's-' || (n % {SUBJECTS}), {at}, 0, n, {at}, parse_json('{{}}'),"
        f" 'f', 1, {at} from (select row_number() over (order by 1) - 1 as n"
        f" from table(generator(rowcount => {EVENTS})))"
    )
    if rows(warehouse, "select count(*) from raw.events_resolved") != [(EVENTS,)]:
        raise RuntimeError("not a million events")
    as_of = START + 60 * 86_400_000
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = reference_funnel(warehouse, window_days=14, as_of=as_of)
        times.append(time.perf_counter() - began)
    if found.closed[0] != SUBJECTS or not found.closed[0] > found.closed[1] > found.closed[2] > 0:
        raise RuntimeError(f"not a funnel: {found}")
    return sorted(times)[ROUNDS // 2]
