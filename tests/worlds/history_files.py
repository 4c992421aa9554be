"""Small histories in every format, as the senders' documentation writes them."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from desireline.events import CanonicalEvent
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.event_mapper import EventMapper
from desireline_operate.import_history.chunks import CHUNK_BYTES, chunks
from desireline_operate.import_history.files import Format, inspect_file
from desireline_operate.import_history.formats import SourceSpec, plan_with_mapping, source_of
from desireline_operate.import_history.rows import reader
from desireline_operate.import_history.worker import ChunkResult, ImportTarget, RowMapper

NOW = 1_767_600_000_000
PLAN = load_plan()
PLACE = ImportTarget(
    bootstrap="",
    auth="plaintext",
    region="",
    secret=b"secret",
    received_at=NOW,
    stamped=NOW,
    mark="import-test",
)


def ndjson(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def gzipped(path: Path, rows: Sequence[Any]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """CSV with the columns of the first row."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def imported(
    path: Path,
    spec: SourceSpec | None = None,
    *,
    size: int = CHUNK_BYTES,
    suppressed: frozenset[str] = frozenset(),
    **options: Any,
) -> tuple[list[CanonicalEvent], ChunkResult]:
    """What an import of the file would produce, and what it would not."""
    file = inspect_file(path)
    spec = spec or SourceSpec(format=file.format or Format.MAPPED, **options)
    plan, place = plan_with_mapping(PLAN, spec), replace(PLACE, suppressed=suppressed)
    mapper = EventMapper.with_secret(plan, b"secret")
    rows = RowMapper(source_of(spec, plan), mapper, place, "import-x")
    done, events, read = ChunkResult(0, 1.0), [], reader(file)
    for chunk in chunks(file, size=size):
        events += [CanonicalEvent.decode(event) for _, event in rows.map_rows(read(chunk), done)]
    return events, done


def call(number: int) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": f"m{number}",
        "timestamp": f"20{number % 20 + 5:02}-01-05T10:00:00Z",
        "userId": f"u{number % 7}",
        "event": "Signed In",
    }
