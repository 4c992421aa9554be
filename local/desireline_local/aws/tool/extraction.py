"""Unpack functions' code and layers once, not once for each worker.

Stock ministack unpacks all layers for every execution environment, in pure Python under one lock:
twelve functions took 15 s to start, and 70 MB each. Here workers share the unpacked files, read
only, as environments of one function do on AWS.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import ministack.core.lambda_runtime as runtime

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_root: list[Path] = []


class SharedZip:
    """Replaces the runtime's ZipFile: unpacks into a shared folder, and links it."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        with self._file.open("rb") as content:
            self._digest = hashlib.file_digest(content, "sha256").hexdigest()

    def __enter__(self) -> SharedZip:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the archive, which is not needed again."""
        self._file.unlink(missing_ok=True)

    def namelist(self) -> list[str]:
        """Return the members, which the runtime checks first; empty if they are unpacked."""
        if self._target.exists():
            return []
        with zipfile.ZipFile(self._file) as archive:
            return archive.namelist()

    def extractall(self, folder: str) -> None:
        """Replace the empty `folder` by a link to the unpacked members."""
        with _locks[self._digest]:
            if not self._target.exists():
                draft = Path(tempfile.mkdtemp(dir=_root[0]))
                with zipfile.ZipFile(self._file) as archive:
                    archive.extractall(draft)
                draft.rename(self._target)
        Path(folder).rmdir()
        Path(folder).symlink_to(self._target, target_is_directory=True)

    @property
    def _target(self) -> Path:
        return _root[0] / self._digest


class _Zipfile:
    """Replaces the runtime's `zipfile`."""

    ZipFile = SharedZip

    def __getattr__(self, name: str) -> Any:
        return getattr(zipfile, name)


def install() -> None:
    """Replace the runtime's zipfile. Raises AssertionError if it does not use zipfile."""
    assert runtime.zipfile is zipfile
    _root.append(Path(tempfile.mkdtemp(prefix="unpacked-")))
    runtime.zipfile = _Zipfile()
