"""Child processes that do not outlive their parent."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_WATCHER_SECONDS = 10.0
"""The time to wait for the watcher. It gives the remaining groups 2 s to end, then kills them."""

_WATCHER = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
def send(number):
    for group in list(groups):
        try:
            os.killpg(group, number)
        except OSError:
            groups.discard(group)
send(signal.SIGTERM)
end = time.monotonic() + 2
while groups and time.monotonic() < end:
    time.sleep(0.05)
    send(0)
send(signal.SIGKILL)
"""
"""The watcher's program: it reads process groups until its writer ends, then ends the remaining
groups. It works on every system with pipes, even if the writer was killed."""


class _Watcher:
    """Starts a process that outlives this one and ends its children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._process: subprocess.Popen[str] | None = None

    def send(self, sign: str, pid: int) -> None:
        """Register ('+') a group that the watcher has to end, or remove ('-') an ended one."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._process is None or self._owner != os.getpid():
                self._owner = os.getpid()
                self._process = subprocess.Popen(
                    [sys.executable, "-S", "-c", _WATCHER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(f"{sign}{pid}\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Let the watcher end the remaining groups, and wait for it.

        Without the wait Python warns at exit that the process still runs. A forked copy of this
        process has the pipe but not the child, so it must close neither.
        """
        with self._lock:
            if self._process is None or self._owner != os.getpid():
                return
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_WATCHER_SECONDS)
            self._process = None


_watcher = _Watcher()
atexit.register(_watcher.close)


def spawn(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in its own session and group, with its output appended to `log`.

    It ends with this process, together with all that it starts, even if this process is killed. A
    watcher ensures that. On Linux the kernel does too, if the main thread starts the process.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    in_main = threading.current_thread() is threading.main_thread()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" and in_main else None,  # noqa: PLW1509
        )
    _watcher.send("+", process.pid)
    return process


def stop(processes: Sequence[subprocess.Popen[bytes]], *, seconds: float = 8.0) -> None:
    """End processes and their children: first with SIGTERM, after `seconds` with SIGKILL."""
    family = [member for process in processes for member in _family(process)]
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=seconds)
    kill(alive)
    for process in processes:
        process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        _watcher.send("-", process.pid)


def kill(members: Sequence[psutil.Process]) -> None:
    """Kill processes, and wait until they have ended."""
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(members, timeout=30)


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds, and return whether it did within `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident bytes of processes and their children."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(pid)
            for member in (head, *head.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += member.memory_info().rss
    return total


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        head = psutil.Process(process.pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
