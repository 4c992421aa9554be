"""Build the cloud assembly of the local deployment, and rebuild it only if its inputs change."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from desireline_local.settings import inherited_environment
from desireline_operate.paths import PROJECT

OUT = PROJECT / "build" / "local"
INPUTS = ("infra", "functions", "layers", "playbooks", "tracking_plan")
_SKIPPED = {"__pycache__", "node_modules"}
_HOST = f"{sys.platform} {platform.machine()} {sys.implementation.cache_tag}"
"""The platform and Python of the layers' wheels."""


class AssemblyError(Exception):
    """The build of layers or templates failed; the message contains the tool's output."""


def cloud_assembly(report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the folder of the assembly for the local cloud, made if its inputs have changed. Two
    processes that want it wait for each other. Raises AssemblyError."""
    OUT.mkdir(parents=True, exist_ok=True)
    with FileLock(OUT / "lock"):
        return _assembly(report)


def _assembly(report: Callable[[str], None]) -> Path:
    assembly, mark = OUT / "cdk.out", OUT / "inputs"
    digest = _digest()
    if mark.exists() and mark.read_text() == digest and (assembly / "manifest.json").exists():
        return assembly
    report("layers and templates")
    mark.unlink(missing_ok=True)
    _run("-m", "infra.layers", "--platform", "host")
    _run("-m", "infra.app", "--context", "local=true", "--context", "stage=dev")
    mark.write_text(digest)
    return assembly


def _run(*arguments: str) -> None:
    environment = inherited_environment(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        CDK_OUTDIR=str(OUT / "cdk.out"),
        CDK_VALIDATION="false",
    )
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssemblyError(f"{' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _digest() -> str:
    digest = hashlib.sha256(_HOST.encode())
    for path in _files():
        digest.update(str(path.relative_to(PROJECT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    yield PROJECT / "cdk.json"
    for name in INPUTS:
        for path in sorted((PROJECT / name).rglob("*")):
            if path.is_file() and not _SKIPPED & set(path.parts) and path.suffix != ".pyc":
                yield path
