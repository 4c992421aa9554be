"""The rules of the house: names that only their registry may write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "layers", "infra", "operate", "local")
CHANNELS = ROOT / "layers" / "desireline" / "intervene" / "channels"


def sources() -> list[Path]:
    """Return our Python files in FOLDERS, without what is built or installed there."""
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "node_modules" not in path.parts
    ]


def channel_names() -> set[str]:
    """Return the modules of the registry that define a live channel."""
    return {
        path.stem
        for path in CHANNELS.glob("*.py")
        if re.search(r"^CHANNEL = ", path.read_text(), re.MULTILINE)
    }


def test_there_are_sources_and_channels_to_look_at() -> None:
    assert len(sources()) > 300
    assert "csm_alert" in channel_names()


@pytest.mark.parametrize("name", sorted(channel_names()))
def test_only_the_registry_names_a_channel(name: str) -> None:
    naming = [
        str(path.relative_to(ROOT))
        for path in sources()
        if CHANNELS not in path.parents and name in path.read_text().lower()
    ]
    assert naming == []


def test_one_module_knows_where_the_packaged_models_are() -> None:
    importing = [
        str(path.relative_to(ROOT))
        for folder in (*FOLDERS, "learning", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"^\s*(import|from) desireline_models", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["layers/desireline/adapters/packaged_models.py"]
