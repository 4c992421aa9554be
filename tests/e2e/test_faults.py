"""Real Kafka, the local cloud, and everything that may go wrong in mid-stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from desireline_local.cloud import LocalCloud
from tests.e2e.fault_run import run

EVENTS = 20_000


@pytest.mark.e2e
def test_nothing_is_lost_counted_twice_or_sent_twice(tmp_path: Path) -> None:
    """Given 20,000 events with repeats in any order, when a poller is killed with -9, the broker is
    killed and started again, tables are throttled, transactions conflict, SNS falls silent and a
    record is set aside and redriven, then all is counted once and nothing is sent twice."""
    with LocalCloud(tmp_path / "cloud", warehouse=False) as cloud:
        found = run(cloud, events=EVENTS)

    assert found.events == EVENTS + 1
    assert (found.lost, found.counted_twice) == (0, 0)
    assert (found.wrong_states, found.wrong_persons) == (0, 0)
    assert found.messages > 0
    assert found.messages_twice == 0
    assert found.open_claims == 0
    assert found.redriven >= 1
    assert {"throttle", "conflict", "silent_publish"} <= found.injected.keys()
