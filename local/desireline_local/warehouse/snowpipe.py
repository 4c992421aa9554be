"""The local Snowpipe: it executes the repository's CREATE PIPE statements when files arrive.

It models AUTO_INGEST by SNS, one load per file and pipe (14 days), ON_ERROR = SKIP_FILE, the
METADATA$ columns and a load history. It does not model latency, cost and schema evolution.

`python -m desireline_local.warehouse.snowpipe PORT AWS_ENDPOINT ARRIVALS_TOPIC ARCHIVE_URL`
"""

from __future__ import annotations

import gzip
import json
import logging
import signal
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from snowflake.connector.errors import Error

from desireline_local.aws.cloud import client
from desireline_local.warehouse.connection import connect
from desireline_local.warehouse.migrate import MIGRATIONS, variables
from desireline_local.warehouse.pipe import Pipe, pipes
from desireline_operate.warehouse.connection import DATABASE, rows

PIPES = MIGRATIONS / "V1.0.2__pipes.sql"
QUEUE = "desireline-local-snowpipe"
HISTORY = f"{DATABASE}.raw.load_history"
BATCH = f"{DATABASE}.raw.snowpipe_batch"
STAGE = f"{DATABASE}.raw.snowpipe_stage"
WAIT_SECONDS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a file: LOADED, SKIPPED (loaded before) or FAILED, with the first error."""

    file: str
    status: str
    rows: int = 0
    error: str | None = None


class Snowpipe:
    """Loads files. connection: to the warehouse. s3: a client. loaded: the pipes."""

    def __init__(self, connection: Any, s3: Any, loaded: list[Pipe]) -> None:
        self._connection = connection
        self._s3 = s3
        self._by_topic = {pipe.stage.rpartition(".")[2]: pipe for pipe in loaded}
        self._run(
            f"create table if not exists {HISTORY} (pipe varchar, file varchar, status varchar,"
            " row_count number, first_error varchar, loaded_at timestamp_ntz)"
        )
        self._run(f"create stage if not exists {STAGE}")

    def ingest(self, bucket: str, key: str) -> Load:
        """Load one file, once."""
        pipe = self._by_topic.get(f"{key.partition('/')[0].replace('.', '_')}_stage")
        if pipe is None:
            return Load(key, "SKIPPED", error="no pipe for this prefix")
        if self._is_loaded(pipe, key):
            return Load(key, "SKIPPED")
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        load = self._load(pipe, key, body)
        self._run(
            f"insert into {HISTORY} select %s, %s, %s, %s, %s, sysdate()",
            (pipe.name, key, load.status, load.rows, load.error),
        )
        return load

    def _is_loaded(self, pipe: Pipe, key: str) -> bool:
        history = rows(
            self._connection,
            f"select 1 from {HISTORY} where pipe = %s and file = %s and status = 'LOADED'"
            " and loaded_at > dateadd('day', -14, sysdate())",
            (pipe.name, key),
        )
        return bool(history)

    def _load(self, pipe: Pipe, key: str, body: bytes) -> Load:
        lines, error = _lines(body)
        if error and pipe.skip_file:
            return Load(key, "FAILED", error=error)
        try:
            self._copy(lines)
            self._run(pipe.insert(f"(select _w:v as _v, _w:n::number as _n from {BATCH})", key))
        except Error as failure:
            return Load(key, "FAILED", error=str(failure)[:500])
        return Load(key, "LOADED", len(lines), error)

    def _copy(self, lines: list[tuple[int, bytes]]) -> None:
        """Copy lines into a table of (line number, line), by the stand-in's own PUT and COPY."""
        self._run(f"create or replace table {BATCH} (_w variant)")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "batch.json.gz"
            text = b"".join(b'{"n":%d,"v":%s}\n' % numbered for numbered in lines)
            file.write_bytes(gzip.compress(text, 1))
            self._run(f"put file://{file} @{STAGE} auto_compress=false overwrite=true")
            self._run(
                f"copy into {BATCH} from @{STAGE}/{file.name} file_format=(type=json) purge=true"
            )

    def _run(self, sql: str, binds: Any = None) -> None:
        self._connection.cursor().execute(sql, binds)


def _lines(body: bytes) -> tuple[list[tuple[int, bytes]], str | None]:
    """Return the valid JSON lines with their numbers, and the error of the first invalid line."""
    good, error = [], None
    try:
        text = gzip.decompress(body)
    except (OSError, EOFError) as failure:
        return [], f"not gzip: {failure}"
    for number, line in enumerate(text.splitlines(), 1):
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError as failure:
            error = error or f"line {number}: {failure}"
        else:
            good.append((number, line))
    return good, error


class Arrivals:
    """The notifications of the archive bucket's topic, read from a subscribed queue."""

    def __init__(self, sqs: Any, sns: Any, topic: str) -> None:
        self._sqs = sqs
        self._url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

    def take(self) -> Iterator[tuple[str, str]]:
        """Yield bucket and key of each new object. A message is deleted after its objects."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS
        )
        for message in answer.get("Messages", ()):
            notification = json.loads(json.loads(message["Body"])["Message"])
            for record in notification.get("Records", ()):
                s3 = record["s3"]
                yield s3["bucket"]["name"], urllib.parse.unquote_plus(s3["object"]["key"])
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])


def main() -> None:
    """Load arriving files until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    port, endpoint, topic, archive_url = int(sys.argv[1]), *sys.argv[2:5]
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, lambda *_: ending.set())
    arrivals = Arrivals(client(endpoint, "sqs"), client(endpoint, "sns"), topic)
    loaded = pipes(PIPES, variables(topic, archive_url))
    snowpipe = Snowpipe(connect(port), client(endpoint, "s3"), loaded)
    log.info("ready: %d pipes", len(loaded))
    while not ending.is_set():
        for bucket, key in arrivals.take():
            load = snowpipe.ingest(bucket, key)
            level = logging.INFO if load.status != "FAILED" else logging.ERROR
            log.log(level, "%s: %s, %d rows %s", load.file, load.status, load.rows, load.error)


if __name__ == "__main__":
    main()
