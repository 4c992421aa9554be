"""Keeps the local cloud running in the background: one process that owns all others.

`python -m desireline_local.supervisor` starts the cloud, tells in `.desireline/` how far it is and
where everything is, and takes all down when a part ends or a signal comes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import psutil

from desireline_local.aws.cloud import IDLE_SECONDS
from desireline_local.cloud import Addresses, LocalCloud
from desireline_local.paths import STATE, cache
from desireline_local.processes import stop
from desireline_operate.deployment import NotRunningError

PROGRESS = STATE / "progress.log"
RUNNING = STATE / "running.json"
PID = STATE / "supervisor.pid"
FAILED = "failed: "
START_SECONDS = 600.0
"""The first start may have to download."""
END_SECONDS = 120.0
"""Its parts have half a minute, one after the other, before they are killed."""


class UnreadyError(NotRunningError):
    """There is one, but it is still starting, or another version of this program started it."""


class StartError(Exception):
    """The local cloud did not start; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running cloud: the supervisor's pid, and where everything is."""

    pid: int
    addresses: Addresses


def running() -> Running:
    """The running cloud. Raises NotRunningError."""
    pid = _supervisor()
    try:
        return Running(pid, Addresses(**json.loads(RUNNING.read_text())["addresses"]))
    except FileNotFoundError as error:
        raise UnreadyError(f"the local cloud is still starting (process {pid})") from error
    except (TypeError, KeyError) as error:
        raise UnreadyError(
            "another version of this program started the local cloud: end it with 'desireline down'"
        ) from error


def last_failure() -> str | None:
    """Why the last cloud ended by itself, if it did."""
    file = cache() / "last-failure.txt"
    return file.read_text() if file.exists() else None


def start(
    report: Callable[[str], None],
    *,
    bootstrap: str | None = None,
    warm: bool = False,
    idle: float = IDLE_SECONDS,
) -> Running:
    """Start the cloud in the background; returns when it is ready. Raises StartError.

    warm, idle: as of LocalCloud; unless it is warm, functions start with their first work. An
    interrupt takes down what had been started.
    """
    with contextlib.suppress(NotRunningError):
        raise StartError(f"there is one already (process {_supervisor()}): see 'desireline status'")
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir()
    command = [sys.executable, "-m", "desireline_local.supervisor"]
    command += ["--idle", str(idle)]
    if warm:
        command += ["--warm"]
    if bootstrap:
        command += ["--bootstrap", bootstrap]
    with (STATE / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    PID.write_text(str(process.pid))
    try:
        return _wait(process, report)
    except BaseException:
        stop([process], seconds=30)
        shutil.rmtree(STATE, ignore_errors=True)
        raise


def end() -> None:
    """Take down the cloud, whoever started it and however far it is; nothing of it is left. Raises
    NotRunningError."""
    pid = _supervisor()
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except psutil.TimeoutExpired:
            family = [*process.children(recursive=True), process]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family, timeout=END_SECONDS)
    shutil.rmtree(STATE, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], report: Callable[[str], None]) -> Running:
    told = 0
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        lines = PROGRESS.read_text().splitlines() if PROGRESS.exists() else []
        for line in lines[told:]:
            if line.startswith(FAILED):
                raise StartError("\n".join(lines[told:]).removeprefix(FAILED))
            report(line)
        told = len(lines)
        if RUNNING.exists():
            return running()
        if process.poll() is not None:
            raise StartError(last_failure() or f"the supervisor ended with {process.returncode}")
        time.sleep(0.1)
    raise StartError(f"not ready after {START_SECONDS:.0f} s")


def _supervisor() -> int:
    """The process that owns the cloud. Raises NotRunningError."""
    try:
        pid = int(PID.read_text())
        alive = "desireline_local.supervisor" in " ".join(psutil.Process(pid).cmdline())
    except (OSError, ValueError, psutil.Error):
        alive = False
    if alive:
        return pid
    how = "has ended: start it again" if RUNNING.exists() else "is not running: start it"
    raise NotRunningError(f"the local cloud {how} with 'desireline up'")


def main() -> None:
    """Run the cloud until a signal, or until a part of it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS)
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _interrupt)
    failure = cache() / "last-failure.txt"
    failure.unlink(missing_ok=True)
    try:
        with (
            PROGRESS.open("a", buffering=1) as progress,
            LocalCloud(
                STATE / "parts",
                bootstrap=arguments.bootstrap,
                warm=arguments.warm,
                idle=arguments.idle,
                report=lambda line: _tell(progress.write, line),
            ) as cloud,
        ):
            _write_running(cloud.at)
            while True:
                cloud.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    except Exception as error:  # noqa: BLE001 — whatever it is, it is named and all is taken down
        said = str(error) or type(error).__name__
        failure.write_text(f"{said}\n")
        with contextlib.suppress(OSError), PROGRESS.open("a") as progress:
            progress.write(f"{FAILED}{said}\n")
        RUNNING.unlink(missing_ok=True)
        time.sleep(0.5)
        raise SystemExit(1) from error
    finally:
        shutil.rmtree(STATE / "parts", ignore_errors=True)
        if RUNNING.exists():
            shutil.rmtree(STATE, ignore_errors=True)


def _tell(write: Callable[[str], int], line: str) -> None:
    write(line + "\n")


def _write_running(addresses: Addresses) -> None:
    """The file appears whole."""
    draft = RUNNING.with_suffix(".draft")
    draft.write_text(json.dumps({"addresses": asdict(addresses)}))
    draft.replace(RUNNING)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def log_files() -> dict[str, Path]:
    """The logs of the running parts, by the part's name."""
    return {
        file.stem: file
        for pattern in ("*.log", "parts/*.log", "parts/aws/*.log", "parts/warehouse/*.log",
                        "parts/kafka/node-*/broker.log")
        for file in STATE.glob(pattern)
    }  # fmt: skip


if __name__ == "__main__":
    main()
