"""A plan as it stands in its folder, right or wrong: what can be read of it, and where.

The functions' own `load_plan` stops at the first error. Here every part is read by itself, so that
all that is wrong can be said at once.
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
from desireline_operate.plan.locations import Document, Problem, Spot, read

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
class Found(Generic[Part]):
    """A part of the plan, and where it stands."""

    part: Part
    spot: Spot


@dataclass(slots=True)
class DraftSender:
    """One sender's file. words: all of it but the mappings, which are read one by one."""

    words: SenderWords
    spot: Spot
    mappings: list[Found[SenderMapping]] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """names: of all events, of those too that are not as they should be."""

    version: str = ""
    version_spot: Spot = field(default_factory=lambda: Document("plan.yaml", None).at("version"))
    traits: Traits | None = None
    events: dict[str, Found[PlannedEvent]] = field(default_factory=dict)
    names: dict[str, Spot] = field(default_factory=dict)
    senders: dict[str, DraftSender] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def guess(self, name: str) -> str:
        """Which event may have been meant."""
        return meant(name, self.names)


def meant(name: str, names: Iterable[str]) -> str:
    """' (did you mean …?)', where one of the names is near."""
    near = get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def read_draft(folder: Path) -> Draft:
    """Everything in the folder. What cannot be read is among the problems."""
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
            draft.problems.append(Problem(name, 0, "is not read: call it .yaml, or take it away"))


def _document(file: Path, folder: Path, draft: Draft) -> Document:
    document, problems = read(file, folder)
    draft.problems += problems
    return document


def _read_events(document: Document, draft: Draft) -> None:
    found = _shaped(_Category, document.content, document.at(), draft)
    if found is None:
        return
    if found.category != Path(document.file).stem:
        text = f"holds the category {found.category}: call the file {found.category}.yaml"
        draft.problems.append(document.at("category").problem(text))
    for name, said in found.events.items():
        spot = document.at("events", name)
        if first := draft.names.get(name):
            text = f"{name} is in {first.document.file}:{first.line} already: keep one"
            draft.problems.append(spot.problem(text))
            continue
        draft.names[name] = spot
        content = {"name": name, "category": found.category, **_mapping(said)}
        if event := _shaped(PlannedEvent, content, spot, draft):
            draft.events[name] = Found(event, spot)


def _read_sender(document: Document, draft: Draft) -> None:
    content = document.content
    mappings = content.get("mappings") if isinstance(content, dict) else None
    if isinstance(mappings, list):
        content = {**content, "mappings": []}
    words = _shaped(SenderWords, content, document.at(), draft)
    if words is None or not isinstance(mappings, list):
        return
    if words.sender != Path(document.file).stem:
        text = f"holds the mappings of {words.sender}: call the file {words.sender}.yaml"
        draft.problems.append(document.at("sender").problem(text))
    sender = draft.senders[words.sender] = DraftSender(words, document.at("sender"))
    for index, said in enumerate(mappings):
        spot = document.at("mappings", index)
        if mapping := _shaped(SenderMapping, said, spot, draft):
            sender.mappings.append(Found(mapping, spot))


def _mapping(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {"description": said}


def _shaped(model: type[Part], content: Any, spot: Spot, draft: Draft) -> Part | None:
    """The content as the model; None, and problems, where it is not of its form."""
    if spot.document.content is None:
        return None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        for one in error.errors():
            where = ".".join(str(part) for part in one["loc"])
            said = _say(one, known if len(one["loc"]) == 1 else [])
            text = f"{where} {said}" if where else said
            draft.problems.append(spot.at(*one["loc"]).problem(text))
        return None


def _say(error: Any, known: list[str]) -> str:
    match error["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            near = meant(str(error["loc"][-1]), known)
            return f"is no field of this part{near}: correct or remove it"
        case "literal_error":
            return f"is {error['input']!r}: write {error['ctx']['expected']}"
        case "string_type":
            return f"is {error['input']!r}: write a text, in quotes if it looks like a number"
        case _:
            return "is wrong: " + re.sub(r"^Value error, ", "", error["msg"])
