"""Real Kafka, the local cloud, and everything that may go wrong in mid-stream."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EVENTS = 20_000
PROJECT = Path(__file__).parents[2]


@pytest.mark.e2e
@pytest.mark.slow
def test_nothing_is_lost_counted_twice_or_sent_twice() -> None:
    """Given thousands of events with repeats in any order, when a poller is killed with -9, the
    broker is killed and started again, tables are throttled, transactions conflict, SNS falls
    silent and a record is set aside and redriven, then all is counted once and nothing is sent
    twice."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.fault_run", str(EVENTS)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])

    assert found["events"] == EVENTS + 1
    assert (found["lost"], found["counted_twice"]) == (0, 0)
    assert (found["wrong_states"], found["wrong_persons"]) == (0, 0)
    assert found["messages"] > 0
    assert found["messages_twice"] == 0
    assert found["open_claims"] == 0
    assert found["redriven"] >= 1
    assert {"throttle", "conflict", "silent_publish"} <= found["injected"].keys()
