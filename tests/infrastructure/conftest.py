"""One synthesis a session and stage, without credentials and with every connection refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.infrastructure.assembly import Assembly

ROOT = Path(__file__).parents[2]
SOURCES = ("--context", "example_sources=true")

# Both refuse and write down what anyone tried; the first line tells that they are in force.
PYTHON_GUARD = """
import socket, sys
def refuse(self, address):
    if self.family == socket.AF_UNIX:
        return connect(self, address)
    open({log!r}, "a").write(f"python {{address}}\\n")
    raise OSError("no network here")
connect = socket.socket.connect
socket.socket.connect = refuse
open({log!r}, "a").write("guarding python\\n")
"""
NODE_GUARD = """
const fs = require("fs"), net = require("net"), dns = require("dns");
fs.appendFileSync({log!r}, "guarding node\\n");
for (const [owner, name] of [[net.Socket.prototype, "connect"], [dns, "lookup"]]) {{
  owner[name] = function (...given) {{
    fs.appendFileSync({log!r}, `node ${{name}} ${{JSON.stringify(given)}}\\n`);
    throw new Error("no network here");
  }};
}}
"""


def synthesise(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the application as its users do; returns the process and the log of connections."""
    folder.mkdir(parents=True)
    log = folder / "connections.log"
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(PYTHON_GUARD.format(log=str(log)))
    (folder / "guard" / "guard.cjs").write_text(NODE_GUARD.format(log=str(log)))
    environment = {
        # The environment's own node comes first: another may be too old for jsii.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "PYTHONPATH": str(folder / "guard"),
        "NODE_OPTIONS": f"--require {folder / 'guard' / 'guard.cjs'}",
        "CDK_OUTDIR": str(folder / "out"),
        # jsii unpacks the CDK once, not once for each home.
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(ROOT / "build" / "jsii"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.app", "--unbuilt-layers", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log


@pytest.fixture(scope="session")
def synthesised(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[..., Assembly]:
    """Assemblies by name. Each is made once for all workers of a run, as pytest-xdist's manual
    advises: they share the parent of their temporary folders."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "synth"
    shared.mkdir(exist_ok=True)
    read: dict[str, Assembly] = {}

    def get(name: str, deployment: str, *arguments: str) -> Assembly:
        if name not in read:
            folder = shared / name
            with FileLock(f"{folder}.lock"):
                if not (folder / "done").exists():
                    done, _ = synthesise(folder, *arguments)
                    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]
                    (folder / "done").touch()
            read[name] = Assembly(folder / "out", deployment)
        return read[name]

    return get


@pytest.fixture(scope="session")
def dev(synthesised: Callable[..., Assembly]) -> Assembly:
    """With sources, which its settings in cdk.json have not."""
    return synthesised("dev", "desireline-dev", *SOURCES)


@pytest.fixture(scope="session")
def prod(synthesised: Callable[..., Assembly]) -> Assembly:
    return synthesised("prod", "desireline", "--context", "stage=prod", *SOURCES)


@pytest.fixture(scope="session")
def bare(synthesised: Callable[..., Assembly]) -> Assembly:
    """As cdk.json has it: no sources."""
    return synthesised("bare", "desireline-dev")


@pytest.fixture(scope="session")
def local(synthesised: Callable[..., Assembly]) -> Assembly:
    return synthesised("local", "desireline-dev", "--context", "local=true")
