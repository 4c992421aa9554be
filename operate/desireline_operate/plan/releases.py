"""Released plans, which `releases/` beside the plan stores as whole files, and older plans in git.

Other teams rely on the released plan, not on the last commit. So one higher version covers all
changes until the next release.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline_operate.plan.versions import Version

FOLDER = "releases"


class NoPlanError(ValueError):
    """The requested plan does not exist, or this code cannot read it; the message says which."""


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """A plan to compare with. name: its version, folder or git revision."""

    name: str
    plan: TrackingPlan


def versions(folder: Path) -> list[Version]:
    """List the released versions of the plan in this folder, oldest first."""
    names = (file.stem for file in (folder / FOLDER).glob("*.json"))
    return sorted(version for name in names if (version := Version.parse(name)))


def latest(folder: Path) -> NamedPlan | None:
    """Read the last released plan; None without one. Raises NoPlanError."""
    released = versions(folder)
    return _released(folder, released[-1]) if released else None


def find_plan(folder: Path, name: str) -> NamedPlan:
    """Read another plan. name: its folder, released version or git revision. Raises NoPlanError."""
    if (Path(name) / "plan.yaml").is_file():
        return NamedPlan(name, loaded(Path(name)))
    version = Version.parse(name)
    if version in versions(folder):
        return _released(folder, version)
    with tempfile.TemporaryDirectory() as checked_out:
        _check_out(folder, name, Path(checked_out))
        return NamedPlan(name, loaded(Path(checked_out), name))


def loaded(folder: Path, name: str = "") -> TrackingPlan:
    """Read the plan in a folder. name: its name in the error's message. Raises NoPlanError."""
    try:
        return load_plan(folder)
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise NoPlanError(f"{name or folder} has no valid plan: {_first(error)}") from error


def written(plan: TrackingPlan) -> str:
    """Return the content of a released plan's file."""
    return plan.model_dump_json(by_alias=True, exclude_defaults=True, indent=1) + "\n"


def is_released(folder: Path, plan: TrackingPlan) -> bool:
    """Return whether exactly this plan is stored as the release of its version."""
    file = folder / FOLDER / f"{plan.version}.json"
    return file.is_file() and file.read_text(encoding="utf-8") == written(plan)


def release(folder: Path, plan: TrackingPlan) -> Path | None:
    """Store the plan as the release of its version. Returns its file, or None if it is stored.

    Raises NoPlanError if another plan was released with that version."""
    if is_released(folder, plan):
        return None
    file = folder / FOLDER / f"{plan.version}.json"
    if file.exists():
        raise NoPlanError(f"{plan.version} was released with other content: raise the version")
    file.parent.mkdir(exist_ok=True)
    file.write_text(written(plan), encoding="utf-8")
    return file


def _released(folder: Path, version: Version) -> NamedPlan:
    file = folder / FOLDER / f"{version}.json"
    try:
        plan = TrackingPlan.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise NoPlanError(f"{file.name} is not a released plan: {_first(error)}") from error
    return NamedPlan(str(version), plan)


def _check_out(folder: Path, revision: str, into: Path) -> None:
    """Extract the folder at a git revision. Raises NoPlanError."""
    command = ["git", "-C", str(folder), "archive", "--format=zip", "--end-of-options"]
    archived = subprocess.run([*command, revision, "."], capture_output=True, check=False)
    if archived.returncode:
        lines = archived.stderr.decode(errors="replace").strip().splitlines()
        raise NoPlanError(
            f"{revision!r} is neither a folder with a plan, nor a released version, nor a git "
            f"revision with this folder ({lines[-1] if lines else 'git failed'})"
        )
    with zipfile.ZipFile(io.BytesIO(archived.stdout)) as archive:
        archive.extractall(into)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
