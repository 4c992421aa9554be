"""Check the users of the plan: playbooks that wait for events, alerts that print traits, and code
and queries that name events."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from desireline.errors import InvalidPlaybookError
from desireline.intervene.playbook.conditions import event_names
from desireline.intervene.playbook.playbooks import Playbook, parse
from desireline.intervene.wording import TRAITS
from desireline_operate.plan.draft import Draft
from desireline_operate.plan.locations import Problem

LIST = "EventName"
_COMPARED = re.compile(r"\bname\s*(?:(?:=|<>)\s*'[^']*'|(?:not\s+)?in\s*\([^)]*\))", re.IGNORECASE)
_LITERAL = re.compile(r"'([^']*)'")


def problems(
    draft: Draft, *, playbooks: Path, sources: Iterable[Path], top: Path
) -> Iterator[Problem]:
    """Yield a problem for each use of an event or trait that the plan does not have.

    sources: folders of code and SQL. top: the folder to which a problem's file is relative."""
    yield from _in_playbooks(draft, playbooks, top)
    for source in sources:
        for file in sorted(source.rglob("*.py")):
            yield from _in_code(draft, file, top)
        for file in sorted(source.rglob("*.sql")):
            yield from _in_query(draft, file, top)
    if draft.traits is not None:
        stored = {*draft.traits.person.values(), *draft.traits.account.values()}
        for trait in sorted(set(TRAITS) - stored):
            yield Problem(
                draft.version_spot.document.file,
                0,
                f"alerts print the trait {trait}, which `traits` does not store: add its source",
            )


def named(playbook: Playbook) -> set[str]:
    """Return the events that a playbook starts at, waits for or tests."""
    conditions = [playbook.goal]
    for step in playbook.steps:
        conditions += [branch.when for branch in step.branches if branch.when is not None]
    events = {name for condition in conditions for name in event_names(condition)}
    return events | ({playbook.trigger.event} if playbook.trigger.event else set())


def _in_playbooks(draft: Draft, folder: Path, top: Path) -> Iterator[Problem]:
    for file in sorted(folder.glob("*.yaml")):
        name, text = _name(file, top), file.read_text(encoding="utf-8")
        try:
            events = named(parse(text, file.name))
        except InvalidPlaybookError as error:
            yield Problem(name, 0, f"cannot be read: {error.detail.splitlines()[0]}")
            continue
        for event in sorted(events - draft.names.keys()):
            yield Problem(
                name,
                _line(text, event),
                f"waits for {event}, which the plan does not have{draft.guess(event)}: "
                "correct the playbook, or leave the event in the plan",
            )


def _in_code(draft: Draft, file: Path, top: Path) -> Iterator[Problem]:
    text = file.read_text(encoding="utf-8")
    if f"{LIST}." not in text:
        return
    members = {name.upper() for name in draft.names}
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if node.value.id == LIST and node.attr.isupper() and node.attr not in members:
            yield _unplanned(draft, _name(file, top), node.lineno, node.attr.lower())


def _in_query(draft: Draft, file: Path, top: Path) -> Iterator[Problem]:
    """Check a query: in the events table the column `name` holds the event's name."""
    text = file.read_text(encoding="utf-8")
    if "events" not in text:
        return
    for compared in _COMPARED.finditer(text):
        for literal in _LITERAL.finditer(compared[0]):
            if literal[1] not in draft.names:
                line = text.count("\n", 0, compared.start() + literal.start()) + 1
                yield _unplanned(draft, _name(file, top), line, literal[1])


def _unplanned(draft: Draft, file: str, line: int, event: str) -> Problem:
    return Problem(
        file,
        line,
        f"names {event}, which the plan does not have{draft.guess(event)}: change this file first, "
        "or leave the event in the plan",
    )


def _name(file: Path, top: Path) -> str:
    return str(file.relative_to(top) if file.is_relative_to(top) else file)


def _line(text: str, word: str) -> int:
    numbers = (number for number, line in enumerate(text.splitlines(), 1) if word in line)
    return next(numbers, 0)
