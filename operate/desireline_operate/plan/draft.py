"""Read a plan that may have errors, with the file and line of each part.

`load_plan`, which the functions use, stops at the first error. This module reads every part by
itself, so that a check can report all problems at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.plan.tracking_plan import PlannedEvent, SenderMapping, SenderWords, Traits
from desireline_operate.plan.locations import Document, Problem, Spot, read_document

Part = TypeVar("Part", bound=BaseModel)


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Head(_Shape):
    version: str
    needed_consent: str | None = None
    traits: Traits


class _Category(_Shape):
    category: str
    events: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LocatedPart(Generic[Part]):
    """A part of the plan and its location."""

    part: Part
    spot: Spot


@dataclass(slots=True)
class DraftSender:
    """One sender's file. content: all but the mappings, which are read one by one."""

    content: SenderWords
    spot: Spot
    mappings: list[LocatedPart[SenderMapping]] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """A plan that may have errors. names: of all events, the invalid ones included."""

    version: str = ""
    version_spot: Spot = field(default_factory=lambda: Document("plan.yaml", None).at("version"))
    traits: Traits | None = None
    events: dict[str, LocatedPart[PlannedEvent]] = field(default_factory=dict)
    names: dict[str, Spot] = field(default_factory=dict)
    senders: dict[str, DraftSender] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def guess(self, name: str) -> str:
        """Suggest the event with the most similar name, as `did_you_mean` does."""
        return did_you_mean(name, self.names)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ' (did you mean …?)' if one of the names is similar, else an empty text."""
    near = get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def read_draft(folder: Path) -> Draft:
    """Read the plan in a folder. Its `problems` list the parts that cannot be read."""
    draft = Draft()
    document = _document(folder / "plan.yaml", folder, draft)
    draft.version_spot = document.at("version")
    if head := _shaped(_Head, document.content, document.at(), draft):
        draft.version, draft.traits = head.version, head.traits
    for file in _files(folder, "events", draft):
        _read_events(_document(file, folder, draft), draft)
    for file in _files(folder, "senders", draft):
        _read_sender(_document(file, folder, draft), draft)
    return draft


def _files(folder: Path, below: str, draft: Draft) -> Iterator[Path]:
    for file in sorted((folder / below).iterdir()) if (folder / below).is_dir() else ():
        if file.suffix == ".yaml":
            yield file
        elif not file.name.startswith("."):
            name = str(file.relative_to(folder))
            draft.problems.append(Problem(name, 0, "is not read: name it .yaml, or remove it"))


def _document(file: Path, folder: Path, draft: Draft) -> Document:
    document, problems = read_document(file, folder)
    draft.problems += problems
    return document


def _read_events(document: Document, draft: Draft) -> None:
    category = _shaped(_Category, document.content, document.at(), draft)
    if category is None:
        return
    if category.category != Path(document.file).stem:
        text = f"holds the category {category.category}: name the file {category.category}.yaml"
        draft.problems.append(document.at("category").problem(text))
    for name, entry in category.events.items():
        spot = document.at("events", name)
        if first := draft.names.get(name):
            text = f"{name} is already in {first.document.file}:{first.line}: keep one"
            draft.problems.append(spot.problem(text))
            continue
        draft.names[name] = spot
        content = {"name": name, "category": category.category, **_event_fields(entry)}
        if event := _shaped(PlannedEvent, content, spot, draft):
            draft.events[name] = LocatedPart(event, spot)


def _read_sender(document: Document, draft: Draft) -> None:
    fields = document.content
    mappings = fields.get("mappings") if isinstance(fields, dict) else None
    if isinstance(mappings, list):
        fields = {**fields, "mappings": []}
    content = _shaped(SenderWords, fields, document.at(), draft)
    if content is None or not isinstance(mappings, list):
        return
    if content.sender != Path(document.file).stem:
        text = f"holds the mappings of {content.sender}: name the file {content.sender}.yaml"
        draft.problems.append(document.at("sender").problem(text))
    sender = draft.senders[content.sender] = DraftSender(content, document.at("sender"))
    for index, entry in enumerate(mappings):
        spot = document.at("mappings", index)
        if mapping := _shaped(SenderMapping, entry, spot, draft):
            sender.mappings.append(LocatedPart(mapping, spot))


def _event_fields(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else {"description": entry}


def _shaped(model: type[Part], content: Any, spot: Spot, draft: Draft) -> Part | None:
    """Validate content against a model. Adds problems and returns None if it does not fit."""
    if spot.document.content is None:
        return None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fields = [field.alias or name for name, field in model.model_fields.items()]
        for detail in error.errors():
            path = ".".join(str(part) for part in detail["loc"])
            message = _message(detail, fields if len(detail["loc"]) == 1 else [])
            text = f"{path} {message}" if path else message
            draft.problems.append(spot.at(*detail["loc"]).problem(text))
        return None


def _message(error: Any, fields: list[str]) -> str:
    match error["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            near = did_you_mean(str(error["loc"][-1]), fields)
            return f"is not a field of this part{near}: correct or remove it"
        case "literal_error":
            return f"is {error['input']!r}: write {error['ctx']['expected']}"
        case "string_type":
            return f"is {error['input']!r}: write a text, in quotes if it looks like a number"
        case _:
            return "is wrong: " + re.sub(r"^Value error, ", "", error["msg"])
