"""Kafka's jars: jgo resolves them once into the user's cache, and our lock verifies them."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from desireline_local.download import announced
from desireline_local.paths import cache

HERE = Path(__file__).parent
VERSION = "4.1.1"
DOWNLOAD = "Kafka 4.1.1 (46 jars)"
MEGABYTES = 43
MAVEN = Path.home() / ".m2" / "repository"
"""The folder into which jgo downloads."""


class DistributionError(Exception):
    """The download of the jars failed, or they differ from the lock."""


def jars(report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the folder with `jars/` and `modules/`. The first call downloads them, and reports it.

    Raises DistributionError.
    """
    home = cache(f"kafka-{VERSION}")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = home / "verified"
        if not ready.exists():
            with announced(
                DOWNLOAD, megabytes=MEGABYTES, folder=home, watched=[MAVEN], report=report
            ):
                _fetch(home)
            _verify(home / ".jgo")
            ready.touch()
    return home / ".jgo"


def _fetch(home: Path) -> None:
    shutil.rmtree(home / ".jgo", ignore_errors=True)
    shutil.copy(HERE / "jgo.toml", home / "jgo.toml")
    jgo = Path(sys.executable).with_name("jgo")
    done = subprocess.run(
        [str(jgo), "--class-path-only", "--resolver", "python", "sync"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DistributionError(f"jgo could not download Kafka: {done.stderr.strip()[-500:]}")


def _verify(resolved: Path) -> None:
    locked = tomllib.loads((HERE / "jgo.lock.toml").read_text())["dependencies"]
    expected = {f"{jar['artifactId']}-{jar['version']}.jar": jar["sha256"] for jar in locked}
    files = {path.name: path for path in resolved.glob("*/*.jar")}
    if expected.keys() != files.keys():
        raise DistributionError(f"not the locked jars: {sorted(expected.keys() ^ files.keys())}")
    for name, digest in expected.items():
        if hashlib.sha256(files[name].read_bytes()).hexdigest() != digest:
            raise DistributionError(
                f"{name} differs from the lock: remove {resolved.parent} and try again"
            )
