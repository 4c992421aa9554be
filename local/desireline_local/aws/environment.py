"""Make ministack's own environment in the user's cache, once for each Python and lock."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import uv

from desireline_local.download import announced
from desireline_local.paths import cache

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
DOWNLOAD = "the local AWS (ministack and boto3)"
MEGABYTES = 84
"""The installed size with byte code."""


class ToolError(Exception):
    """The environment could not be made; the message contains uv's error."""


def tool_python(report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the interpreter of ministack's environment, which has this Python's version.

    Raises ToolError."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    home = cache("ministack") / f"{digest}-py{sys.version_info[0]}{sys.version_info[1]}"
    python = home / "bin" / "python"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            with announced(DOWNLOAD, megabytes=MEGABYTES, folder=home, watched=[], report=report):
                _run("venv", "--quiet", "--python", sys.executable, str(home))
                _run("pip", "install", "--quiet", "--compile-bytecode", "--require-hashes",
                     "--python", str(python), "-r", str(REQUIREMENTS))  # fmt: skip
            (home / "ready").touch()
    return python


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolError(f"uv {arguments[0]} failed: {done.stderr.strip()[-500:]}")
