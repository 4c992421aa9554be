"""What a person sees while something is fetched."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from desireline_local import download


def test_a_download_is_announced_with_its_size_and_shown_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a folder that holds something already, when 3 of 5 MB have come, then that is told."""
    monkeypatch.setattr(download, "LOOK_SECONDS", 0.01)
    (tmp_path / "before").write_bytes(bytes(9_000_000))
    told: list[str] = []

    with download.announced(
        "a broker", megabytes=5, folder=tmp_path, watched=[tmp_path / "absent"], report=told.append
    ):
        (tmp_path / "part").write_bytes(bytes(3_000_000))
        while not any(line.endswith("3 of 5 MB") for line in told):
            time.sleep(0.01)

    assert told[0] == f"Downloading a broker, 5 MB, once; stored in {tmp_path}"


def test_it_says_no_more_once_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LOOK_SECONDS", 0.01)
    told: list[str] = []
    with (
        pytest.raises(OSError, match="cut off"),
        download.announced("x", megabytes=1, folder=tmp_path, watched=[], report=told.append),
    ):
        raise OSError("cut off")

    before = list(told)
    time.sleep(0.05)
    assert told == before
