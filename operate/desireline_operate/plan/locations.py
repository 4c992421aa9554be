"""YAML with the line at which each part stands, so that what is wrong can be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Key = str | int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What would break, where, and what to do. line: 0 where a file as a whole is meant."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True, slots=True)
class Document:
    """One file, read. lines: of every key and every item, by the path to it."""

    file: str
    content: Any
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)

    def at(self, *path: Key) -> Spot:
        """A place in it."""
        return Spot(self, path)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a document."""

    document: Document
    path: tuple[Key, ...] = ()

    def at(self, *path: Key) -> Spot:
        """A place below."""
        return Spot(self.document, (*self.path, *path))

    @property
    def line(self) -> int:
        """The line of the innermost part that the file has."""
        for length in range(len(self.path), 0, -1):
            if line := self.document.lines.get(self.path[:length]):
                return line
        return 1

    def problem(self, text: str) -> Problem:
        """Something wrong here."""
        return Problem(self.document.file, self.line, text)


def an(word: str) -> str:
    """The word with its article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def read(file: Path, folder: Path) -> tuple[Document, list[Problem]]:
    """The file; content is None where it cannot be read, and the problems say why."""
    name = str(file.relative_to(folder))
    try:
        loader = _LOADER(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 0
        return Document(name, None), [Problem(name, line, f"is not YAML: {error.problem}")]
    except (OSError, ValueError, yaml.YAMLError) as error:
        return Document(name, None), [Problem(name, 0, f"cannot be read: {error}")]
    if content is None:
        return Document(name, None), [Problem(name, 0, "is empty: write it, or take it away")]
    document = Document(name, content)
    return document, list(_walk(node, document, (), set()))


def _walk(
    node: yaml.Node | None, document: Document, path: tuple[Key, ...], seen: set[int]
) -> Iterator[Problem]:
    """Note lines, find keys written twice: YAML takes the last of them in silence. What is used
    by an anchor a second time stands where it is used."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, document, (*path, index), seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in document.lines:
                first = document.lines[here]
                line = key.start_mark.line + 1
                yield Problem(
                    document.file, line, f"{key.value} stands in line {first} already: keep one"
                )
            document.lines[here] = key.start_mark.line + 1
            yield from _walk(value, document, here, seen)
