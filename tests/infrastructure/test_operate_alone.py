"""The operators' commands in an environment with only their own wheel, without the local cloud."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment. folder: its path; work: an empty folder to run commands in."""

    folder: Path
    work: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs without this process's environment variables."""
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            cwd=self.work,
            env={"HOME": str(self.work), "AWS_EC2_METADATA_DISABLED": "true"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Install the wheels of desireline-operate and desireline with the locked dependencies."""
    folder = tmp_path_factory.mktemp("operate")
    environment, work = folder / "venv", folder / "work"
    work.mkdir()
    options = ("--offline", "--frozen", "--no-editable", "--no-dev", "--quiet")
    # uv would reuse an earlier wheel, because it compares only the dates of pyproject.toml.
    built = ("--reinstall-package", "desireline", "--reinstall-package", "desireline-operate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_PROJECT_ENVIRONMENT", str(environment))
        installed = subprocess.run(
            [find_uv_bin(), "sync", *options, *built, "--python", sys.executable]
            + ["--package", "desireline-operate"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert installed.returncode == 0, installed.stderr
    return Installation(environment, work)


def test_the_commands_describe_themselves(installation: Installation) -> None:
    overview = installation.run("desireline", "--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    assert "explain" in overview.stdout
    assert "demo" not in overview.stdout
    explain = installation.run("desireline", "explain", "--help")
    assert (explain.returncode, explain.stderr) == (0, "")
    assert "--deployment" in explain.stdout


@pytest.mark.parametrize("package", ["desireline_local", "infra", "desireline_learning"])
def test_the_packages_of_the_workspace_are_not_installed(
    installation: Installation, package: str
) -> None:
    imported = installation.run("python", "-c", f"import {package}")
    assert imported.returncode == 1
    assert f"ModuleNotFoundError: No module named '{package}'" in imported.stderr


def test_a_command_without_a_deployment_exits_with_2_and_a_message(
    installation: Installation,
) -> None:
    explained = installation.run("desireline", "explain", "user:ada")
    assert (explained.returncode, explained.stdout) == (2, "")
    assert "--deployment" in explained.stderr
    assert "Traceback" not in explained.stderr
