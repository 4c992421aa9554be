"""Nothing is left behind, however the local cloud ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desireline_local.processes import spawn, stop
from tests.integration.tiny_functions import eventually

TREE = """
import subprocess, sys, time
ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", ignoring])
print(child.pid, flush=True)
time.sleep(600)
"""
"""A process with a child that takes no hint."""

PARENT = """
import json, sys, threading, time
from pathlib import Path
from desireline_local.processes import spawn
def start():
    process = spawn([sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2]))
    print(process.pid, flush=True)
if sys.argv[3] == "thread":
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
time.sleep(600)
"""

ENDING = """
import sys
from pathlib import Path
from desireline_local.processes import spawn, stop
stop([spawn([sys.executable, "-c", "pass"], log=Path(sys.argv[1]))])
"""

CLOUD = """
import json, sys, time
from pathlib import Path
import psutil
from desireline_local.aws.cloud import LocalAws
from tests.integration.tiny_functions import create_function, invoke
aws = LocalAws(Path(sys.argv[1]))
aws.start()
invoke(aws, create_function(aws, "def handle(event, context): return 1"), {})
family = psutil.Process(aws.process.pid).children(recursive=True)
print(json.dumps([aws.process.pid, *[one.pid for one in family]]), flush=True)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def child_of(log: Path) -> int:
    """The pid that a TREE tells in its log."""
    eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    return int(log.read_text())


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a test starts itself; ended afterwards."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_stopping_ends_the_stubborn_and_their_children(tmp_path: Path) -> None:
    log = tmp_path / "tree.log"
    process = spawn([sys.executable, "-c", TREE], log=log)
    child = child_of(log)

    stop([process], seconds=0.5)

    assert not alive(process.pid)
    assert not alive(child)


def test_stopping_ends_the_children_of_what_has_crashed(tmp_path: Path) -> None:
    log = tmp_path / "tree.log"
    process = spawn([sys.executable, "-c", TREE], log=log)
    child = child_of(log)
    process.kill()
    process.wait()

    stop([process])

    eventually(lambda: not alive(child))


def test_a_process_that_ends_leaves_no_child_unwaited(tmp_path: Path) -> None:
    """Given a process that has spawned and stopped another, when it ends, then Python warns of no
    child that still runs: the watcher has been waited for."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", ENDING, str(tmp_path / "log")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("number", "thread"),
    [(signal.SIGKILL, "main"), (signal.SIGKILL, "thread"), (signal.SIGINT, "main")],
)
def test_children_end_with_their_parent_however_it_ends(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], number: signal.Signals, thread: str
) -> None:
    log = tmp_path / "tree.log"
    command = [sys.executable, "-c", PARENT, TREE, str(log), thread]
    parent = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A shell starts its background jobs with SIGINT ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    started.append(parent)
    assert parent.stdout is not None
    process, child = int(parent.stdout.readline()), child_of(log)
    time.sleep(0.2)
    assert alive(process), "the end of the thread that started it is not its parent's"

    parent.send_signal(number)

    eventually(lambda: not alive(process) and not alive(child))


def test_the_local_aws_and_its_workers_end_with_who_started_them(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CLOUD, str(tmp_path)], stdout=subprocess.PIPE)
    started.append(parent)
    assert parent.stdout is not None
    pids = json.loads(parent.stdout.readline())
    assert len(pids) >= 2, "there is a worker"

    parent.kill()

    eventually(lambda: not any(alive(pid) for pid in pids))


def test_children_of_threads_outlive_the_thread(tmp_path: Path) -> None:
    found: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        found.append(spawn(command, log=tmp_path / "log"))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    time.sleep(0.3)

    assert found[0].poll() is None
    stop(found)
    assert found[0].poll() is not None
