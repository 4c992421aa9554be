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
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_WATCHER_SECONDS = 10.0
"""The watcher gives what is left 2 s to end, and then kills it."""

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
"""Reads process groups until whoever writes them is gone, then ends those that are left. Works
wherever there are pipes, and however the writer ended."""


class _Watcher:
    """The process that outlives us for as long as it takes to end our children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._process: subprocess.Popen[str] | None = None

    def tell(self, what: str, pid: int) -> None:
        """'+' and a group to end after us, '-' and one that has ended."""
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
            self._process.stdin.write(f"{what}{pid}\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Let the process end the groups that are left, and wait for it.

        Unless it is waited for, Python warns at its own end that the process still runs. A forked
        copy of us has the pipe's other end and no such child: it must leave both alone.
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
    """Start a process in a session and group of its own, its output appended to `log`.

    It and all that it starts end when we do, however that happens: a watcher sees to it, and on
    Linux the kernel too if the main thread starts it (the kernel looks at the thread).
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
    _watcher.tell("+", process.pid)
    return process


def stop(processes: Sequence[subprocess.Popen[bytes]], *, seconds: float = 8.0) -> None:
    """End processes and all that they started: politely, then for good after `seconds`."""
    family = [member for process in processes for member in _family(process)]
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=30)
    for process in processes:
        process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        _watcher.tell("-", process.pid)


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
