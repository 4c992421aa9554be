"""Importing a file: its chunks to processes, a few at a time; what they did into its journal."""

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
from desireline_operate.import_history.worker import Done, Place, Work, begin, take

AHEAD = 2
"""Chunks a process has waiting, so that it never waits for the one that reads."""

Report = Callable[[float, int], None]
"""Told how much of the file is done, 0 to 1, and how many events of it are in Kafka."""


def silent(share: float, events: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """rate: events a second at most, 0 for as fast as it goes."""

    chunk_bytes: int = CHUNK_BYTES
    rate: float = 0.0


class Processes:
    """The processes of an import. A context manager; leaving it early ends them."""

    def __init__(self, place: Place, count: int) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=begin,
            initargs=(place, os.getpid()),
        )

    def __enter__(self) -> Processes:
        try:
            with _ctrl_c_waits():
                for _ in range(self.count):
                    self._pool.submit(int)  # one more is started for each that finds none idle
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def give(self, work: Work, chunk: Chunk) -> Future[Done]:
        """Have a chunk taken."""
        return self._pool.submit(take, work, chunk)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C is for this process: those that it starts in here are deaf to it, and are told by it;
    here it comes at the end."""
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
    """How many processes may run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def journal_name(work: Work, *, cluster: str, plan_version: str) -> str:
    """By what makes an import another one: the bytes, how they are read, where they go."""
    told = {
        "digest": work.digest,
        "cluster": cluster,
        "plan": plan_version,
        "format": work.spec.format,
        "words": work.spec.words,
        "file": work.spec.file.model_dump(),
        "zone": work.spec.zone,
        "account": work.spec.account_property,
        "left_out": sorted(work.spec.left_out),
        "table": work.spec.table,
    }
    found = hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{work.digest[:16]}-{found[:16]}.ndjson"


def import_file(
    work: Work,
    journal: Journal,
    processes: Processes,
    *,
    options: Options,
    report: Report = silent,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Take what the journal does not have. Raises FileError, UnavailableError; what is in the
    journal is safe then, and a second run goes on."""
    if journal.finished:
        return
    began, events = time.monotonic(), 0
    for done in _taken(work, journal, processes, options.chunk_bytes):
        journal.add(done)
        events += done.accepted
        report(done.share, events)
        if options.rate:
            pause(max(0.0, events / options.rate - (time.monotonic() - began)))
    journal.finish()


def _taken(work: Work, journal: Journal, processes: Processes, chunk_bytes: int) -> Iterator[Done]:
    """Chunks as they are done, in any order."""
    waiting: set[Future[Done]] = set()
    with _told():
        for chunk in chunks(work.file, size=chunk_bytes):
            if chunk.number in journal.done:
                continue
            waiting.add(processes.give(work, chunk))
            if len(waiting) >= processes.count * AHEAD:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in ready)
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in ready)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise UnavailableError("a process of the import was killed") from error


def rejects_beside(file: Path, folder: Path | None) -> Path:
    """Where rows that were not taken go."""
    return (folder or file.parent) / f"{file.name}.rejects.ndjson"
