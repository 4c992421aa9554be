"""The stand-in of Snowflake, migrated once a session, and the archive in front of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from desireline.adapters.s3 import S3Blobs
from desireline.archive.archive_history import ArchiveHistory
from desireline.records import Record
from desireline_local.aws.cloud import LocalAws
from desireline_local.processes import spawn
from desireline_local.warehouse.connection import connect
from desireline_local.warehouse.migrate import variables
from desireline_local.warehouse.part import WarehousePart
from desireline_local.warehouse.pipe import Pipe, pipes
from desireline_local.warehouse.snowpipe import PIPES, Load, Snowpipe
from desireline_operate.warehouse.connection import rows

ARRIVALS = "arn:aws:sns:us-east-1:000000000000:arrivals"
BUCKET = "warehouse-tests"


@dataclass(frozen=True)
class Server:
    """A running stand-in."""

    port: int
    home: Path

    def migrate(self, name: str) -> str:
        """Run the migrations as a process of their own; what they said."""
        log = self.home / f"{name}.log"
        command = [sys.executable, "-m", "desireline_local.warehouse.migrate"]
        done = spawn([*command, str(self.port), ARRIVALS, f"s3://{BUCKET}"], log=log)
        assert done.wait(300) == 0, log.read_text()[-3000:]
        return log.read_text()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("warehouse")
    part = WarehousePart(home)
    try:
        part.launch()
        part.wait()
        server = Server(part.port, home)
        server.migrate("first")
        yield server
    finally:
        part.stop()


@pytest.fixture(scope="session")
def warehouse(server: Server) -> Iterator[Any]:
    """A connection to the migrated warehouse."""
    with closing(connect(server.port)) as connection:
        yield connection


class Counts:
    """Metrics that nobody reads."""

    def count(self, name: str, value: int = 1, **_: str) -> None:
        pass


class Archive:
    """The archive's bucket, written by the real ArchiveHistory and loaded by the real pipes."""

    def __init__(self, s3: Any, warehouse: Any) -> None:
        self.s3 = s3
        self.pipes: list[Pipe] = pipes(PIPES, variables(ARRIVALS, f"s3://{BUCKET}"))
        self.snowpipe = Snowpipe(warehouse, s3, self.pipes)
        self._archive = ArchiveHistory(blobs=S3Blobs(s3, BUCKET), metrics=Counts())
        self._warehouse = warehouse

    def write(self, *records: Record) -> str:
        """Archive records of one topic; the key of their file."""
        (key,) = self._archive(records)
        return key

    def load(self, key: str) -> Load:
        return self.snowpipe.ingest(BUCKET, key)

    def loaded(self, table: str, key: str, columns: str) -> list[Any]:
        """These columns of what a file brought, by row."""
        query = f"select {columns} from raw.{table} where source_file = %s order by source_row"
        return rows(self._warehouse, query, (key,))

    def history(self, key: str) -> list[Any]:
        """(status, rows, first error) of each attempt to load a file."""
        query = "select status, row_count, first_error from raw.load_history where file = %s"
        return rows(self._warehouse, query, (key,))


@pytest.fixture(scope="session")
def archive(local_aws: LocalAws, warehouse: Any) -> Iterator[Archive]:
    with closing(local_aws.client("s3")) as s3:
        s3.create_bucket(Bucket=BUCKET)
        yield Archive(s3, warehouse)


@pytest.fixture
def unique() -> str:
    """An id that nobody else uses."""
    return uuid4().hex[:12]
