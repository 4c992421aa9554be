"""The rules of the house: where things are, and which names only one place may write."""

from __future__ import annotations

import re
import subprocess
import tomllib
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


def test_no_folder_hides_the_packages() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert tracked
    assert [path for path in tracked if "/src/" in path] == []


def test_every_function_is_in_the_contract_of_the_packages() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (packages,) = (
        contract["layers"]
        for contract in configuration["tool"]["importlinter"]["contracts"]
        if "desireline_local" in contract.get("layers", ())
    )
    named = {name for layer in packages for name in layer.split(" | ")}
    assert {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")} <= named


def test_one_module_makes_the_mapper() -> None:
    """Only `EventMapper.with_secret` joins a plan and a secret, so that no mapping differs."""
    making = [
        str(path.relative_to(ROOT))
        for folder in (*FOLDERS, "learning", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"\bCanonical\(", path.read_text())
    ]
    assert making == ["layers/desireline/receive/mapping/event_mapper.py"]


def test_only_rows_write_prefixes_of_keys() -> None:
    rows = ROOT / "layers" / "desireline" / "rows"
    writing = [
        str(path.relative_to(ROOT))
        for path in sources()
        if rows not in path.parents and re.search(r'"[A-Z]{1,2}#', path.read_text())
    ]
    assert writing == []


def test_no_module_imports_from_a_test_module() -> None:
    pattern = re.compile(r"^\s*(from|import) ([\w.]*\.)?test_\w+", re.MULTILINE)
    importing = [
        str(path.relative_to(ROOT))
        for folder in ("tests", "bench", *FOLDERS)
        for path in sorted((ROOT / folder).rglob("*.py"))
        if pattern.search(path.read_text())
    ]
    assert importing == []


@pytest.mark.parametrize(
    "handler",
    sorted((ROOT / "functions").glob("*/handler.py")),
    ids=lambda handler: handler.parent.name,
)
def test_a_handler_has_at_most_60_lines(handler: Path) -> None:
    lines = len(handler.read_text().splitlines())
    assert lines <= 60


def test_the_local_cloud_stays_small() -> None:
    paths = sorted((ROOT / "local").rglob("*.py"))
    lines = sum(len(path.read_text().splitlines()) for path in paths)
    assert 0 < lines <= 6_700
