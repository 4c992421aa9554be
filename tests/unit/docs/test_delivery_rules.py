"""docs/delivery.md holds every rule that code cites, and names that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from docs.render.__main__ import ROOT

PAGE = ROOT / "docs" / "delivery.md"
HEADING = re.compile(r"^## Delivery rule (\d+): ", re.MULTILINE)
CITATION = re.compile(r"(?:\bdelivery |\()rules? (\d+(?:(?:, | and |, and | to )\d+)*)")
BREAK = re.compile(r"\s+(?:#\s+)?")
"""A line break of a docstring or a comment, within a citation."""
NAMED_LINK = re.compile(r"\[(`[^\]]+`)\]\((\S+\.py)\)")
FOLDERS = (
    "bench",
    "docs",
    "functions",
    "infra",
    "layers",
    "learning",
    "local",
    "operate",
    "playbooks",
    "tests",
    "tracking_plan",
    "warehouse",
)
KINDS = frozenset({".json", ".md", ".py", ".sql", ".yaml"})


def sections() -> dict[int, str]:
    """The page's sections, by the rule's number."""
    _, *parts = HEADING.split(PAGE.read_text())
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def cited_rules(text: str) -> Iterator[int]:
    """The numbers in "delivery rules 2, 4 and 6 to 8" or "(rule 7)"."""
    for numbers in CITATION.findall(BREAK.sub(" ", text)):
        for part in re.split(r",? and |, ", numbers):
            first, _, last = part.partition(" to ")
            yield from range(int(first), int(last or first) + 1)


@cache
def citations() -> dict[Path, frozenset[int]]:
    """The rules that each file of the project cites, apart from the page itself."""
    files = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in KINDS and "node_modules" not in path.parts and path.is_file()
    ]
    cited = {path: frozenset(cited_rules(path.read_text())) for path in files}
    return {path: rules for path, rules in cited.items() if rules and path != PAGE}


@cache
def defined_names(path: Path) -> frozenset[str]:
    """The module's own name, and the classes, functions and variables of its top level."""
    names = {path.stem}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("counts once (delivery rule 2).", {2}),
        ("(delivery rules 2 to 5)", {2, 3, 4, 5}),
        ("(delivery rules 8, 9 and 11)", {8, 9, 11}),
        ("(rules 8, 9, 11)", {8, 9, 11}),
        ("# holds (delivery\n    # rules 2\n    # and 17)", {2, 17}),
        ("rule: of the delivery rules. apply: breaks it", set()),
    ],
)
def test_a_citation_is_read_in_each_of_its_forms(text: str, rules: set[int]) -> None:
    assert set(cited_rules(text)) == rules


def test_every_cited_rule_is_a_section() -> None:
    missing = {
        str(path.relative_to(ROOT)): sorted(rules - sections().keys())
        for path, rules in citations().items()
        if rules - sections().keys()
    }
    assert missing == {}
    assert len(citations()) > 25, "the search must find the citations"


def test_the_sections_are_numbered_without_a_gap() -> None:
    assert [int(number) for number in HEADING.findall(PAGE.read_text())] == list(range(1, 19))


def test_every_name_on_the_page_is_defined_in_the_linked_file() -> None:
    linked = [
        (name, path)
        for names, path in NAMED_LINK.findall(PAGE.read_text())
        for name in re.findall(r"`([^`]+)`", names)
    ]
    assert len(linked) > 100
    unknown = [
        f"{name} in {path}"
        for name, path in linked
        if name not in defined_names((PAGE.parent / path).resolve())
    ]
    assert unknown == []
