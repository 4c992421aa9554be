"""Kafka's jars: resolved once by jgo, checked against our lock, kept in the user's cache."""

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
"""Where jgo keeps what it fetches, before it links it."""


class DistributionError(Exception):
    """The jars could not be fetched, or are not those that the lock names."""


def jars(report: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with `jars/` and `modules/`; fetched the first time, which `report` announces.

    Raises DistributionError.
    """
    home = cache(f"kafka-{VERSION}")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = home / "verified"
        if not ready.exists():
            with announced(
                DOWNLOAD, megabytes=MEGABYTES, kept=home, watched=[MAVEN], report=report
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
        raise DistributionError(f"jgo could not fetch Kafka: {done.stderr.strip()[-500:]}")


def _verify(resolved: Path) -> None:
    locked = tomllib.loads((HERE / "jgo.lock.toml").read_text())["dependencies"]
    expected = {f"{jar['artifactId']}-{jar['version']}.jar": jar["sha256"] for jar in locked}
    found = {path.name: path for path in resolved.glob("*/*.jar")}
    if expected.keys() != found.keys():
        raise DistributionError(f"not the locked jars: {sorted(expected.keys() ^ found.keys())}")
    for name, digest in expected.items():
        if hashlib.sha256(found[name].read_bytes()).hexdigest() != digest:
            raise DistributionError(f"{name} is not the jar that the lock names")
