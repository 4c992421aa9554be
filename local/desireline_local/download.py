"""Downloads that a person waits for: announced with their size, shown as they come, kept."""

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
    what: str,
    *,
    megabytes: int,
    kept: Path,
    watched: Sequence[Path],
    report: Callable[[str], None],
) -> Iterator[None]:
    """Say what is fetched inside, and while it is, how much has come.

    The tools that fetch are libraries' own and tell nothing, so it is what grows in the folders
    that they write: kept, where it ends, and watched, caches of theirs that it passes through.
    """
    folders = (kept, *watched)
    before = sum(map(_bytes_below, folders))
    done = threading.Event()

    def show() -> None:
        while not done.wait(LOOK_SECONDS):
            come = min(megabytes, (sum(map(_bytes_below, folders)) - before) // MEGABYTE)
            report(f"Downloading {what}: {max(0, come)} of {megabytes} MB")

    report(f"Downloading {what}, {megabytes} MB, once; kept in {kept}")
    shown = threading.Thread(target=show, daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def _bytes_below(folder: Path) -> int:
    """Bytes of all files below; those that vanish meanwhile do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
