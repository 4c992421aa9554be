"""What operators run, `desireline redrive` and `desireline import`, on the whole local cloud."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from desireline_local.settings import inherited_environment

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What one run on a cloud of its own found."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.operators_run"],
        cwd=PROJECT,
        env=inherited_environment(COLUMNS="180"),
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.e2e
def test_what_mappings_gave_up_on_is_redriven_counted_and_told(found: dict[str, Any]) -> None:
    """Given a record that resolve gave up on, and a change that publish_changes did not announce,
    when the causes are gone and both are redriven, then the record is folded once and marked, and
    the change is announced."""
    topic, stream = found["topic"], found["stream"]
    assert topic["codes"] == [2, 0, 0, 0]
    assert "1 of 1 records to redrive" in topic["counted"]
    assert "Nothing was sent" in topic["counted"]
    assert "redriven already" in topic["again"]
    assert topic["outcomes"] == [{"folded": 1}]
    assert len(topic["redriven"]) == 1
    assert stream == {"code": 0, "announced": 1, "same": True}


@pytest.mark.e2e
def test_history_is_counted_once_and_starts_no_playbook(found: dict[str, Any]) -> None:
    """Given trials of the last minute in a Segment archive, when it is imported, again, and once
    more from the start, then each event is counted once, the broken line is told, and no enrolment
    began by it, though a trial that begins is what a playbook waits for."""
    history = found["history"]
    assert history["codes"] == [1, 1, 1]
    assert "rejected: not_json" in history["said"]
    assert "already imported" in history["said"]
    assert (history["counted"], history["after"]) == (400, 400)
    assert history["enrolled"] == 0
    assert history["replays"]
