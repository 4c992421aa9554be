"""Functions' code and layers are unpacked once, not once for each worker.

Stock ministack unpacks all layers anew for every execution environment, in pure Python under one
lock: a dozen functions took a quarter of a minute to start, and 70 MB each. Here workers share what
is unpacked, as environments of one function share its code on AWS, read only.
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
    """What the runtime takes for a ZipFile: unpacks into a folder of all, and links it."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        with self._file.open("rb") as content:
            self._digest = hashlib.file_digest(content, "sha256").hexdigest()

    def __enter__(self) -> SharedZip:
        return self

    def __exit__(self, *_: object) -> None:
        """The archive is not needed twice."""
        self._file.unlink(missing_ok=True)

    def namelist(self) -> list[str]:
        """The members, to be checked before they are unpacked for the first time."""
        if self._target.exists():
            return []
        with zipfile.ZipFile(self._file) as archive:
            return archive.namelist()

    def extractall(self, folder: str) -> None:
        """Make `folder`, which is empty, a link to the unpacked members."""
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
    """The runtime's own view of `zipfile`."""

    ZipFile = SharedZip

    def __getattr__(self, name: str) -> Any:
        return getattr(zipfile, name)


def install() -> None:
    """Stand before the runtime's zipfile. Raises AssertionError when it uses another."""
    assert runtime.zipfile is zipfile
    _root.append(Path(tempfile.mkdtemp(prefix="unpacked-")))
    runtime.zipfile = _Zipfile()
