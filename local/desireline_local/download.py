"""Announce downloads with their size, and report their progress."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.5
MEGABYTE = 1_000_000


@contextmanager
def announced(
    item: str,
    *,
    megabytes: int,
    folder: Path,
    watched: Sequence[Path],
    report: Callable[[str], None],
) -> Iterator[None]:
    """Announce a download that the block performs, and report its progress.

    The downloading tools report nothing, so the progress is the growth of the folders that they
    write: `folder`, the target, and `watched`, the tools' own caches.
    """
    folders = (folder, *watched)
    before = sum(map(_bytes_below, folders))
    done = threading.Event()

    def show() -> None:
        while not done.wait(LOOK_SECONDS):
            loaded = min(megabytes, (sum(map(_bytes_below, folders)) - before) // MEGABYTE)
            report(f"Downloading {item}: {max(0, loaded)} of {megabytes} MB")

    report(f"Downloading {item}, {megabytes} MB, once; stored in {folder}")
    display = threading.Thread(target=show, daemon=True)
    display.start()
    try:
        yield
    finally:
        done.set()
        display.join()


def _bytes_below(folder: Path) -> int:
    """Sum the bytes of all files below a folder. Files that vanish meanwhile do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
