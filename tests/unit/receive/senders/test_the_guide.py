"""docs/adding_a_sender.md, followed to the letter.

The files that the guide shows are written into a copy of the packages, and the copy is held to the
tests over all senders: of a sender with a module, and of one of Standard Webhooks without."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
GUIDE = ROOT / "docs" / "adding_a_sender.md"
TESTS = "tests/unit/receive/senders/test_all_senders.py"
BLOCK = re.compile(r"^`(?P<path>[\w/.]+)`\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = {found["path"]: found["text"] for found in BLOCK.finditer(GUIDE.read_text())}
MODULE = "layers/desireline/receive/senders/plumely.py"


def copied(folder: Path, *left_out: str) -> Path:
    """The packages and the plan with the guide's files in them."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for part in ("layers", "operate", "local", "tracking_plan", "playbooks"):
        shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=unwanted)
    for path, text in FILES.items():
        if path not in left_out:
            (folder / path).write_text(text)
    return folder


def held(folder: Path, sender: str) -> tuple[int, str]:
    """Exit code and last line of the tests over all senders, of this one in the copy."""
    paths = [str(folder / part) for part in ("layers", "operate", "local")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS, "-k", sender]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_guide_shows_these_files() -> None:
    assert sorted(FILES) == [
        MODULE,
        "local/desireline_local/sender_side/samples/acme_forms.json",
        "local/desireline_local/sender_side/samples/plumely.json",
        "tracking_plan/senders/acme_forms.yaml",
        "tracking_plan/senders/plumely.yaml",
    ]
    assert not any((ROOT / path).exists() for path in FILES)


def test_senders_made_by_the_guide_are_held_to_what_all_are(tmp_path: Path) -> None:
    code, said = held(copied(tmp_path), "plumely or acme_forms")
    assert code == 0, said
    assert int(re.findall(r"(\d+) passed", said)[-1]) >= 30, said


@pytest.mark.parametrize("missing", sorted(path for path in FILES if "plumely" in path))
def test_none_of_its_three_files_can_be_left_out(tmp_path: Path, missing: str) -> None:
    code, said = held(copied(tmp_path, missing), "plumely")
    assert code != 0, said
