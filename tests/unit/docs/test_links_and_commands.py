"""What the pages lead to is there: links, headings, commands, options, targets of make."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer

from desireline.adapters.switches import Kill, SwitchBoard
from desireline.intervene.channels import CHANNELS
from desireline.intervene.playbook.playbooks import load
from desireline_operate.cli.main import app
from docs.render.__main__ import ROOT

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")})
LINK = re.compile(r'\]\(([^)\s]+)\)|href="([^"]+)"')
CODE = re.compile(r"```.*?```", re.DOTALL)
COMMAND = re.compile(r"(?:^|`|\$ |\| )(desireline [^`\n|]+)", re.MULTILINE)
SIGNED_TEXT = "desireline batch key"
"""No command: what the key of a Segment batch is derived from."""
MAKE = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Its headings, as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one).lower() for one in headings)
    return frozenset(re.sub(r"[^\w\- ]", "", one).strip().replace(" ", "-") for one in plain)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in (first or second for first, second in LINK.findall(text)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_one_that_there_is_with_its_options(page: Path) -> None:
    for said in set(COMMAND.findall(page.read_text())) - {SIGNED_TEXT}:
        command, rest = typer.main.get_command(app), words(said)
        while rest and (one := getattr(command, "commands", {}).get(rest[0])):
            command, rest = one, rest[1:]
        assert not hasattr(command, "commands") or not rest or rest[0].startswith("-"), said
        known = {option for one in command.params for option in one.opts + one.secondary_opts}
        for option in (one.partition("=")[0] for one in rest if one.startswith("-")):
            assert option in known | {"--help", "--"}, f"{said}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_of_make_is_one_that_there_is(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(page.read_text())) <= targets


def test_the_documentations_first_page_names_every_other() -> None:
    first = (ROOT / "docs" / "README.md").read_text()
    linked = {link for link, _ in LINK.findall(first)}
    there = {page.name for page in (ROOT / "docs").iterdir()}
    there -= {"render", *(page.name for page in (ROOT / "docs").glob("*.svg"))}
    assert there - linked == {"README.md"}


def words(said: str) -> list[str]:
    """Of a command, without the program and the remark behind it."""
    return list(shlex.split(said.replace("…", ""), comments=True))[1:]


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(COMMAND.findall(page.read_text())) for page in PAGES) > 60


def test_the_switches_in_the_runbook_are_understood() -> None:
    """What somebody copies at night has to stop what it says it stops."""
    page = (ROOT / "docs" / "operations.md").read_text()
    (document,) = re.findall(r"--value '(.*)'", page)
    (some,) = re.findall(r'`(\{"playbooks".*?\})`', page)

    assert SwitchBoard.model_validate_json(document).kill.all
    kill = Kill.model_validate_json(some)
    assert kill.playbooks <= {playbook.name for playbook in load().current()}
    assert kill.channels <= CHANNELS.keys()
