"""Read YAML with the line of each part, so that a problem can name its line."""

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
    """A problem of the plan: its location, and a text that says what to do. line: 0 for the whole
    file."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a file. lines: of every key and every item, by its path."""

    file: str
    content: Any
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)

    def at(self, *path: Key) -> Spot:
        """Return the spot at a path."""
        return Spot(self, path)


@dataclass(frozen=True, slots=True)
class Spot:
    """A location in a document."""

    document: Document
    path: tuple[Key, ...] = ()

    def at(self, *path: Key) -> Spot:
        """Return the spot at a path below this one."""
        return Spot(self.document, (*self.path, *path))

    @property
    def line(self) -> int:
        """The line of the innermost part of the path that the file has."""
        for length in range(len(self.path), 0, -1):
            if line := self.document.lines.get(self.path[:length]):
                return line
        return 1

    def problem(self, text: str) -> Problem:
        """Return a problem at this spot."""
        return Problem(self.document.file, self.line, text)


def with_article(word: str) -> str:
    """Return the word with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def read_document(file: Path, folder: Path) -> tuple[Document, list[Problem]]:
    """Read a YAML file. If it cannot be read, content is None and the problems say why."""
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
        return Document(name, None), [Problem(name, 0, "is empty: write it, or remove it")]
    document = Document(name, content)
    return document, list(_walk(node, document, (), set()))


def _walk(
    node: yaml.Node | None, document: Document, path: tuple[Key, ...], visited: set[int]
) -> Iterator[Problem]:
    """Store the lines, and yield a problem for each duplicate key: YAML silently uses the last.

    A node that an anchor uses again keeps the line of its first use."""
    if node is None or id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, document, (*path, index), visited)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in document.lines:
                first = document.lines[here]
                line = key.start_mark.line + 1
                yield Problem(
                    document.file, line, f"{key.value} is already in line {first}: keep one"
                )
            document.lines[here] = key.start_mark.line + 1
            yield from _walk(value, document, here, visited)
