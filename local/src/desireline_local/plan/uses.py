"""What relies on the plan: playbooks that wait for events, alerts that say traits, code that names
events."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from desireline.errors import InvalidPlaybookError
from desireline.intervene.conditions import event_names
from desireline.intervene.playbooks import Playbook, parse
from desireline.intervene.wording import TRAITS
from desireline_local.plan.draft import Draft
from desireline_local.plan.places import Problem

LIST = "EventName"


def problems(
    draft: Draft, *, playbooks: Path, sources: Iterable[Path], top: Path
) -> Iterator[Problem]:
    """All that would look for what the plan does not have. sources: folders of code; top: what
    their files are named from."""
    yield from _in_playbooks(draft, playbooks, top)
    yield from _in_code(draft, sources, top)
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


def _in_code(draft: Draft, sources: Iterable[Path], top: Path) -> Iterator[Problem]:
    members = {name.upper() for name in draft.names}
    for source in sources:
        for file in sorted(source.rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if f"{LIST}." not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
                    continue
                if node.value.id == LIST and node.attr.isupper() and node.attr not in members:
                    event = node.attr.lower()
                    yield Problem(
                        _name(file, top),
                        node.lineno,
                        f"names {event}, which the plan does not have{draft.guess(event)}: "
                        "change the code first, or leave the event in the plan",
                    )


def _name(file: Path, top: Path) -> str:
    return str(file.relative_to(top) if file.is_relative_to(top) else file)


def _line(text: str, word: str) -> int:
    numbers = (number for number, line in enumerate(text.splitlines(), 1) if word in line)
    return next(numbers, 0)
