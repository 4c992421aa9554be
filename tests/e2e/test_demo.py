"""The demo, as a person runs it: a smaller company, the same checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

DESIRELINE = Path(sys.executable).with_name("desireline")


@pytest.mark.e2e
def test_the_demo_ends_with_zero_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Given nothing runs, when the demo replays a company, then all stages delivered, the cloud
    decided as memory does, and neither process nor file is left."""
    done = subprocess.run(
        [str(DESIRELINE), "demo", "--trials", "8", "--days", "6", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "equal those of the same events in memory" in done.stdout
    assert "NO" not in done.stdout.split("Checks")[1]
    assert "hot leads among them: 1" in done.stdout
    assert not (Path(__file__).parents[2] / ".desireline").exists()
    assert not _left_over()


def _left_over() -> list[psutil.Process]:
    """Clouds of this environment's: another one's may run beside."""
    command = [sys.executable, "-m", "desireline_local.supervisor"]
    return [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == command]


@pytest.mark.e2e
def test_commands_without_a_cloud_say_what_to_do() -> None:
    """Given no running cloud, commands of the laptop cloud end with 3, and those that need some
    deployment with 2; each says how to start the cloud."""
    of_the_cloud = dict.fromkeys(("status", "down", "clock"), 3)
    of_a_deployment = dict.fromkeys(("explain x", "redrive"), 2)
    for command, code in {**of_the_cloud, **of_a_deployment}.items():
        done = subprocess.run(
            [str(DESIRELINE), *command.split()],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code
        assert "desireline up" in done.stderr
