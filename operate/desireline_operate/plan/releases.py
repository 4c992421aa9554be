"""Plans that were released, kept whole in `releases/` beside the plan, and plans of other days.

What others rely on is the released plan, not the last commit: a version is raised once for all
that changes until the next release.
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
    """What was asked for is no plan, or none that this code reads; the message says which."""


@dataclass(frozen=True, slots=True)
class Past:
    """A plan to compare with, and what to call it."""

    name: str
    plan: TrackingPlan


def versions(folder: Path) -> list[Version]:
    """All that were released from this folder, oldest first."""
    names = (file.stem for file in (folder / FOLDER).glob("*.json"))
    return sorted(version for name in names if (version := Version.parse(name)))


def latest(folder: Path) -> Past | None:
    """The last released plan. Raises NoPlanError."""
    found = versions(folder)
    return _released(folder, found[-1]) if found else None


def past(folder: Path, asked: str) -> Past:
    """asked: a folder with a plan, a released version, or a revision of git. Raises NoPlanError."""
    if (Path(asked) / "plan.yaml").is_file():
        return Past(asked, loaded(Path(asked)))
    version = Version.parse(asked)
    if version in versions(folder):
        return _released(folder, version)
    with tempfile.TemporaryDirectory() as checked_out:
        _check_out(folder, asked, Path(checked_out))
        return Past(asked, loaded(Path(checked_out), asked))


def loaded(folder: Path, name: str = "") -> TrackingPlan:
    """The plan in a folder; name: what to call it. Raises NoPlanError."""
    try:
        return load_plan(folder)
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        said = name or str(folder)
        raise NoPlanError(f"{said} has no plan that can be read: {_first(error)}") from error


def written(plan: TrackingPlan) -> str:
    """A plan as it is kept."""
    return plan.model_dump_json(by_alias=True, exclude_defaults=True, indent=1) + "\n"


def is_released(folder: Path, plan: TrackingPlan) -> bool:
    """Whether the plan is kept under its version, as it is."""
    file = folder / FOLDER / f"{plan.version}.json"
    return file.is_file() and file.read_text(encoding="utf-8") == written(plan)


def release(folder: Path, plan: TrackingPlan) -> Path | None:
    """Keep the plan under its version; None if it is kept already. Raises NoPlanError where another
    has that version."""
    if is_released(folder, plan):
        return None
    file = folder / FOLDER / f"{plan.version}.json"
    if file.exists():
        raise NoPlanError(f"{plan.version} was released with other content: raise the version")
    file.parent.mkdir(exist_ok=True)
    file.write_text(written(plan), encoding="utf-8")
    return file


def _released(folder: Path, version: Version) -> Past:
    file = folder / FOLDER / f"{version}.json"
    try:
        plan = TrackingPlan.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise NoPlanError(f"{file.name} is not a released plan: {_first(error)}") from error
    return Past(str(version), plan)


def _check_out(folder: Path, revision: str, into: Path) -> None:
    """The folder as it was in that revision of git. Raises NoPlanError."""
    command = ["git", "-C", str(folder), "archive", "--format=zip", "--end-of-options"]
    found = subprocess.run([*command, revision, "."], capture_output=True, check=False)
    if found.returncode:
        said = found.stderr.decode(errors="replace").strip().splitlines()
        raise NoPlanError(
            f"{revision!r} is no folder with a plan, no released version and no revision of git "
            f"with this folder ({said[-1] if said else 'git failed'})"
        )
    with zipfile.ZipFile(io.BytesIO(found.stdout)) as archive:
        archive.extractall(into)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
