"""A part of the local cloud that ends is named, with the end of its log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from desireline_local.cloud import CloudError, LocalCloud
from desireline_local.processes import spawn, stop
from tests.integration.tiny_functions import eventually

CRASHES = "import sys; print('no room left', flush=True); sys.exit(3)"


def test_a_part_that_crashes_is_named_with_its_last_words(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "cloud", bootstrap="127.0.0.1:1", warehouse=False)
    lives = spawn([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "lives")
    cloud._parts["lives"] = lives
    cloud.check()

    command = [sys.executable, "-c", CRASHES]
    cloud._parts["poller"] = crashed = spawn(command, log=cloud.home / "poller.log")
    eventually(lambda: crashed.poll() is not None)

    with pytest.raises(CloudError, match="poller has ended with status 3\\nno room left"):
        cloud.check()

    cloud.stop()
    assert lives.poll() is not None, "one down, all down"
    assert not cloud.home.exists()
    stop([lives, crashed])
