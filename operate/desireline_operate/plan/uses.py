"""What relies on the plan: playbooks that wait for events, alerts that say traits, code and queries
that name events."""

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
    """All that would look for what the plan does not have. sources: folders of code and of SQL;
    top: what their files are named from."""
    yield from _in_playbooks(draft, playbooks, top)
    for source in sources:
        for file in sorted(source.rglob("*.py")):
            yield from _in_code(draft, file, top)
        for file in sorted(source.rglob("*.sql")):
            yield from _in_query(draft, file, top)
    if draft.traits is not None:
        kept = {*draft.traits.person.values(), *draft.traits.account.values()}
        for trait in sorted(set(TRAITS) - kept):
            yield Problem(
                draft.version_spot.document.file,
                0,
                f"alerts say the trait {trait}, which `traits` does not keep: add its source",
            )


def named(playbook: Playbook) -> set[str]:
    """The events that a playbook starts at, waits for or asks for."""
    conditions = [playbook.goal]
    for step in playbook.steps:
        conditions += [branch.when for branch in step.branches if branch.when is not None]
    found = {name for condition in conditions for name in event_names(condition)}
    return found | ({playbook.trigger.event} if playbook.trigger.event else set())


def _in_playbooks(draft: Draft, folder: Path, top: Path) -> Iterator[Problem]:
    for file in sorted(folder.glob("*.yaml")):
        name, text = _name(file, top), file.read_text(encoding="utf-8")
        try:
            asked = named(parse(text, file.name))
        except InvalidPlaybookError as error:
            yield Problem(name, 0, f"cannot be read: {error.detail.splitlines()[0]}")
            continue
        for event in sorted(asked - draft.names.keys()):
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
    """In queries of events the column `name` is the event's."""
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
        f"names {event}, which the plan does not have{draft.guess(event)}: change this first, or "
        "leave the event in the plan",
    )


def _name(file: Path, top: Path) -> str:
    return str(file.relative_to(top) if file.is_relative_to(top) else file)


def _line(text: str, word: str) -> int:
    numbers = (number for number, line in enumerate(text.splitlines(), 1) if word in line)
    return next(numbers, 0)
