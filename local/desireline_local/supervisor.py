"""Run the local cloud in the background: one process owns all others.

`python -m desireline_local.supervisor` starts the cloud. It writes its progress and the addresses
to `.desireline/`. It ends all parts on a signal, or if one part ends.
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
from desireline_local.processes import kill, stop
from desireline_operate.deployment import NotRunningError

PROGRESS = STATE / "progress.log"
RUNNING = STATE / "running.json"
PID = STATE / "supervisor.pid"
START_SECONDS = 600.0
"""The first start may download files."""
END_SECONDS = 120.0
"""The supervisor gives its parts 30 s in turn before it kills them."""


class UnreadyError(NotRunningError):
    """The cloud is still starting, or another version of this program started it."""


class StartError(Exception):
    """The local cloud did not start; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running cloud: the supervisor's pid, and the addresses."""

    pid: int
    addresses: Addresses


def running() -> Running:
    """Return the running cloud. Raises NotRunningError."""
    pid = _supervisor()
    try:
        return Running(pid, Addresses(**json.loads(RUNNING.read_text())["addresses"]))
    except FileNotFoundError as error:
        raise UnreadyError(f"the local cloud is still starting (process {pid})") from error
    except (TypeError, KeyError) as error:
        raise UnreadyError(
            "another version of this program started the local cloud: stop it by 'desireline down'"
        ) from error


def last_failure() -> str | None:
    """Return the reason why the last cloud ended by itself; None if it did not."""
    file = cache() / "last-failure.txt"
    return file.read_text().strip() if file.exists() else None


def start(
    report: Callable[[str], None],
    *,
    bootstrap: str | None = None,
    warm: bool = False,
    idle: float = IDLE_SECONDS,
) -> Running:
    """Start the cloud in the background, and return when it is ready. Raises StartError.

    warm, idle: as of LocalCloud. An interrupt ends the parts that have started.
    """
    with contextlib.suppress(NotRunningError):
        raise StartError(f"it already runs (process {_supervisor()}): see 'desireline status'")
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
    """End the cloud in any state, and remove its files. Raises NotRunningError."""
    pid = _supervisor()
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except psutil.TimeoutExpired:
            kill([*process.children(recursive=True), process])
    shutil.rmtree(STATE, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], report: Callable[[str], None]) -> Running:
    reported = 0
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        lines = PROGRESS.read_text().splitlines() if PROGRESS.exists() else []
        for line in lines[reported:]:
            report(line)
        reported = len(lines)
        if RUNNING.exists():
            return running()
        if process.poll() is not None:
            raise StartError(last_failure() or f"the supervisor ended with {process.returncode}")
        time.sleep(0.1)
    raise StartError(f"not ready after {START_SECONDS:.0f} s")


def _supervisor() -> int:
    """Return the pid of the process that owns the cloud. Raises NotRunningError."""
    try:
        pid = int(PID.read_text())
        alive = "desireline_local.supervisor" in " ".join(psutil.Process(pid).cmdline())
    except (OSError, ValueError, psutil.Error):
        alive = False
    if alive:
        return pid
    state = "has ended" if RUNNING.exists() else "is not running"
    raise NotRunningError(f"the local cloud {state}: start it with 'desireline up'")


def main() -> None:
    """Run the cloud until a signal comes or a part ends."""
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
                report=lambda line: print(line, file=progress),
            ) as cloud,
        ):
            _write_running(cloud.at)
            while True:
                cloud.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    except Exception as error:  # noqa: BLE001 — any error is recorded, and ends the cloud
        message = str(error) or type(error).__name__
        failure.write_text(f"{message}\n")
        RUNNING.unlink(missing_ok=True)
        raise SystemExit(1) from error
    finally:
        shutil.rmtree(STATE / "parts", ignore_errors=True)
        if RUNNING.exists():
            shutil.rmtree(STATE, ignore_errors=True)


def _write_running(addresses: Addresses) -> None:
    """Write the addresses atomically, so that no reader sees half a file."""
    draft = RUNNING.with_suffix(".draft")
    draft.write_text(json.dumps({"addresses": asdict(addresses)}))
    draft.replace(RUNNING)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def log_files() -> dict[str, Path]:
    """Return the log files of the running parts by name."""
    return {
        file.stem: file
        for pattern in ("*.log", "parts/*.log", "parts/aws/*.log", "parts/warehouse/*.log",
                        "parts/kafka/node-*/broker.log")
        for file in STATE.glob(pattern)
    }  # fmt: skip


if __name__ == "__main__":
    main()
