"""Import a file: hand its chunks to worker processes, and write the results to its journal."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from desireline.errors import UnavailableError
from desireline_operate.import_history.chunks import CHUNK_BYTES, Chunk, chunks
from desireline_operate.import_history.journal import Journal
from desireline_operate.import_history.worker import (
    ChunkResult,
    ImportTarget,
    ImportTask,
    import_chunk,
    start_worker,
)

AHEAD = 2
"""Chunks that wait for each process, so that no process waits for the reader."""

Report = Callable[[float, int], None]
"""Receives the finished share of the file, 0 to 1, and the number of its events in Kafka."""


def ignore_progress(share: float, events: int) -> None:
    """Ignore a progress report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of an import. rate: events per second at most; 0: no limit."""

    chunk_bytes: int = CHUNK_BYTES
    rate: float = 0.0


class Processes:
    """The worker processes of an import. A context manager: leaving it ends the processes."""

    def __init__(self, target: ImportTarget, count: int) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_worker,
            initargs=(target, os.getpid()),
        )

    def __enter__(self) -> Processes:
        try:
            with _ctrl_c_delayed():
                for _ in range(self.count):
                    self._pool.submit(int)  # the pool starts a process if none is idle
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, task: ImportTask, chunk: Chunk) -> Future[ChunkResult]:
        """Hand a chunk to one of the processes."""
        return self._pool.submit(import_chunk, task, chunk)


@contextmanager
def _ctrl_c_delayed() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block.

    Processes that start in the block ignore Ctrl-C; this process ends them."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def journal_name(task: ImportTask, *, cluster: str, plan_version: str) -> str:
    """Name the journal by the file's bytes, the way of reading them, and the Kafka cluster.

    If one of them changes, a new journal begins."""
    identity = {
        "digest": task.digest,
        "cluster": cluster,
        "plan": plan_version,
        "format": task.spec.format,
        "words": task.spec.mapping,
        "file": task.spec.file.model_dump(),
        "zone": task.spec.zone,
        "account": task.spec.account_property,
        "left_out": sorted(task.spec.left_out),
        "table": task.spec.table,
    }
    key = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{task.digest[:16]}-{key[:16]}.ndjson"


def import_file(
    task: ImportTask,
    journal: Journal,
    processes: Processes,
    *,
    options: Options,
    report: Report = ignore_progress,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Import the chunks that the journal does not list.

    Raises FileError, UnavailableError. The chunks in the journal are then durable, and a second
    run continues after them."""
    if journal.finished:
        return
    began, events = time.monotonic(), 0
    for result in _chunk_results(task, journal, processes, options.chunk_bytes):
        journal.add(result)
        events += result.accepted
        report(result.share, events)
        if options.rate:
            pause(max(0.0, events / options.rate - (time.monotonic() - began)))
    journal.finish()


def _chunk_results(
    task: ImportTask, journal: Journal, processes: Processes, chunk_bytes: int
) -> Iterator[ChunkResult]:
    """Yield the results of unfinished chunks, in the order in which they finish."""
    waiting: set[Future[ChunkResult]] = set()
    with _killed_as_unavailable():
        for chunk in chunks(task.file, size=chunk_bytes):
            if chunk.number in journal.done:
                continue
            waiting.add(processes.submit(task, chunk))
            if len(waiting) >= processes.count * AHEAD:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ready)
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ready)


@contextmanager
def _killed_as_unavailable() -> Iterator[None]:
    """Raise UnavailableError if a worker process is killed, so that the import can be resumed."""
    try:
        yield
    except BrokenProcessPool as error:
        raise UnavailableError("a worker process of the import was killed") from error


def rejects_path(file: Path, folder: Path | None) -> Path:
    """Return the path of the file for rejected rows. folder: None for the folder of the file."""
    return (folder or file.parent) / f"{file.name}.rejects.ndjson"
