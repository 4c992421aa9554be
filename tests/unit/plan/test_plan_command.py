"""`desireline plan`: what it says, how it ends, what it compares with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import desireline
from desireline.receive import senders
from desireline_operate.cli.main import app
from desireline_operate.plan import check as checking
from tests.unit.plan.small import Tool, edit, write

PACKAGE = Path(desireline.__file__).parent
PRODUCT, TOOL, HEAD = "events/product.yaml", "senders/tool.yaml", "plan.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small plan that is right, where the only sender is its own."""
    monkeypatch.setattr(checking, "load_senders", lambda _: {"tool": Tool()})
    monkeypatch.setattr(checking.uses, "problems", lambda *_, **__: iter(()))
    return write(tmp_path / "plan")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_a_plan_that_is_right_ends_with_0(folder: Path) -> None:
    answer = run("check", "--plan", str(folder))
    assert answer.exit_code == 0
    assert "No earlier release exists" in answer.stdout
    assert "2 events, 3 mappings of 1 senders. No problems." in answer.stdout


def test_quiet_says_nothing_of_a_plan_that_is_right(folder: Path) -> None:
    assert run("check", "--quiet", "--plan", str(folder)).output == ""


def test_a_plan_that_is_wrong_ends_with_2_and_each_place(folder: Path) -> None:
    edit(folder, PRODUCT, "minimum: 0, maximum: 100", "minimum: 101, maximum: 100")
    answer = run("check", "--quiet", "--plan", str(folder))
    assert answer.exit_code == 2
    assert f"{folder}/events/product.yaml:12: used has the minimum 101" in answer.stderr
    assert "the plan has 1 problem" in answer.stderr


def test_a_folder_without_a_plan_ends_with_2(tmp_path: Path) -> None:
    answer = run("check", "--plan", str(tmp_path))
    assert answer.exit_code == 2
    assert "has no plan.yaml: name its folder with --plan" in answer.stderr.replace("\n", " ")


def test_a_breaking_change_asks_for_a_major_version(folder: Path) -> None:
    """Given a released plan, when a parameter goes, then 1.1.0 is too low and 2.0.0 is not."""
    assert run("release", "--plan", str(folder)).exit_code == 0
    edit(folder, PRODUCT, "      final: {type: boolean}\n", "")
    edit(folder, HEAD, "1.0.0", "1.1.0")

    refused = run("check", "--plan", str(folder))
    assert refused.exit_code == 2
    assert "Breaking changes since 1.0.0 (1):\n  major  limit_reached.final is removed" in (
        refused.stdout
    )
    assert "plan.yaml:1: version 1.1.0 is too low: 1 of 1 changes since 1.0.0 break" in (
        refused.stderr
    )
    assert "write 2.0.0 or more" in refused.stderr

    edit(folder, HEAD, "1.1.0", "2.0.0")
    assert run("check", "--plan", str(folder)).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "low", "enough"),
    [
        ("A trial began.", "A trial starts.", "1.0.0", "1.0.1"),
        (
            "plan: {type: string}",
            "plan: {type: string}\n      seats: {type: integer}",
            "1.0.1",
            "1.1.0",
        ),
        ("conversion: macro", "conversion: micro", "1.9.0", "2.0.0"),
    ],
)
def test_a_version_is_raised_by_what_changed(
    folder: Path, old: str, new: str, low: str, enough: str
) -> None:
    run("release", "--plan", str(folder))
    edit(folder, PRODUCT, old, new)
    edit(folder, HEAD, "1.0.0", low)
    assert run("check", "--plan", str(folder)).exit_code == 2
    edit(folder, HEAD, low, enough)
    assert run("check", "--plan", str(folder)).exit_code == 0


def test_a_version_does_not_go_back(folder: Path) -> None:
    run("release", "--plan", str(folder))
    edit(folder, HEAD, "1.0.0", "0.9.0")
    answer = run("check", "--plan", str(folder))
    assert answer.exit_code == 2
    assert "version 0.9.0 is too low: 1.0.0 is out; write 1.0.0 or more" in answer.stderr


def test_the_newest_release_is_compared_with_by_number_not_by_letters(folder: Path) -> None:
    for version, old in (("9.0.0", "1.0.0"), ("10.0.0", "9.0.0")):
        edit(folder, HEAD, old, version)
        assert run("release", "--plan", str(folder)).exit_code == 0
    assert "No changes since 10.0.0." in run("check", "--plan", str(folder)).stdout


def test_a_release_may_be_repeated_and_is_never_replaced(folder: Path) -> None:
    first = run("release", "--plan", str(folder))
    kept = (folder / "releases" / "1.0.0.json").read_text()
    again = run("release", "--plan", str(folder))
    assert "Tracking plan 1.0.0 is released: 1.0.0.json." in first.stdout
    assert "is already released" in again.stdout

    edit(folder, PRODUCT, "A trial began.", "A trial starts.")
    assert run("release", "--plan", str(folder)).exit_code == 2
    assert (folder / "releases" / "1.0.0.json").read_text() == kept


def test_a_plan_that_is_wrong_is_not_released(folder: Path) -> None:
    edit(folder, TOOL, "as: limit_reached", "as: unheard_of")
    assert run("release", "--plan", str(folder)).exit_code == 2
    assert not (folder / "releases").exists()


def test_before_a_deployment_a_plan_has_to_be_released_as_it_is(folder: Path) -> None:
    answer = run("check", "--released", "--plan", str(folder))
    assert answer.exit_code == 2
    assert "is not released: run `desireline plan release`" in answer.stderr
    run("release", "--plan", str(folder))
    assert run("check", "--released", "--plan", str(folder)).exit_code == 0


def test_it_compares_with_a_revision_of_git(folder: Path) -> None:
    git(folder.parent, "init", "--quiet")
    git(folder.parent, "add", "--all")
    git(folder.parent, "commit", "--quiet", "--message", "A plan")
    edit(folder, PRODUCT, "      final: {type: boolean}\n", "")
    answer = run("check", "--plan", str(folder), "--against", "HEAD")
    assert answer.exit_code == 2
    assert "limit_reached.final is removed" in answer.stdout


def test_it_compares_with_a_folder_and_with_a_released_version(
    folder: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other")
    edit(other, PRODUCT, "      final: {type: boolean}\n", "")
    run("release", "--plan", str(folder))
    against = run("check", "--plan", str(folder), "--against", str(other))
    assert "limit_reached.final is a new parameter" in against.stdout
    assert (
        "No changes since 1.0.0."
        in run("check", "--plan", str(folder), "--against", "1.0.0").stdout
    )


@pytest.mark.parametrize("against", ["nonsense", "3.0.0", "--output=x"])
def test_what_is_nothing_to_compare_with_ends_with_2(folder: Path, against: str) -> None:
    answer = run("check", "--plan", str(folder), f"--against={against}")
    assert answer.exit_code == 2
    assert "is neither a folder with a plan, nor a released version" in answer.stderr
    assert not Path("x").exists()


def test_a_plan_of_another_form_is_nothing_to_compare_with(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other")
    edit(other, HEAD, "traits:", "verified_email_sources: [tool]\ntraits:")
    answer = run("check", "--plan", str(folder), "--against", str(other))
    assert answer.exit_code == 2
    assert "has no valid plan: verified_email_sources" in answer.stderr


def test_an_event_is_shown(folder: Path) -> None:
    answer = run("show", "limit_reached", "--plan", str(folder))
    assert answer.exit_code == 0
    assert "No more of something." in answer.stdout
    assert "0 to 100" in answer.stdout
    assert "From tool `track` “Limit” where" in answer.stdout
    assert "limit from what" in answer.stdout


def test_an_event_that_there_is_not(folder: Path) -> None:
    answer = run("show", "limit_reach", "--plan", str(folder))
    assert answer.exit_code == 2
    assert "has no event limit_reach (did you mean limit_reached?)" in answer.stderr


@pytest.mark.parametrize(
    ("options", "events"),
    [
        ([], {"trial_signup", "limit_reached"}),
        (["--conversion", "macro"], {"trial_signup"}),
        (["--category", "product", "--sender", "tool"], {"trial_signup", "limit_reached"}),
    ],
)
def test_events_are_listed(folder: Path, options: list[str], events: set[str]) -> None:
    answer = run("list", "--plan", str(folder), *options)
    assert {line.split()[0] for line in answer.stdout.splitlines()[1:]} >= events
    assert ("limit_reached" in answer.stdout) == ("limit_reached" in events)


@pytest.mark.parametrize("options", [["--category", "none"], ["--high-intent"], ["--sender", "x"]])
def test_a_list_of_nothing_ends_with_2(folder: Path, options: list[str]) -> None:
    assert run("list", "--plan", str(folder), *options).exit_code == 2


def test_a_plan_that_cannot_be_read_is_not_shown(folder: Path) -> None:
    edit(folder, TOOL, "as: limit_reached", "as: unheard_of")
    answer = run("list", "--plan", str(folder))
    assert answer.exit_code == 2
    assert "run `desireline plan check`" in answer.stderr


def test_the_repositorys_own_plan_is_checked_by_default() -> None:
    assert checking.load_senders is senders.load_senders
    assert run("check", "--quiet").output == ""


@pytest.mark.parametrize("written", ["sender: [", "sender: company_events\nmappigns: []\n"])
def test_a_file_that_is_wrong_does_not_keep_the_command_from_saying_so(
    written: str, tmp_path: Path
) -> None:
    """Senders without code are read from the shipped plan when the code starts."""
    package = tmp_path / "desireline"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "resources" / "tracking_plan"
    (folder / "senders" / "company_events.yaml").write_text(written)
    answer = subprocess.run(
        [sys.executable, "-m", "desireline_operate.cli.plan", "check", "--plan", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert answer.returncode == 2
    assert f"{folder}/senders/company_events.yaml" in answer.stderr
    assert "Traceback" not in answer.stderr
