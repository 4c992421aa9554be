"""Versions of the plan: semantic, with what changed deciding which part is raised."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple, Self

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class Level(IntEnum):
    """How much a change asks for. major: it breaks what relies on the plan."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


class Version(NamedTuple):
    """major.minor.patch, in order."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The version, or None where the text is none."""
        found = _VERSION.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None

    def raised(self, level: Level) -> Version:
        """The next version of that level."""
        match level:
            case Level.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Level.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Level.PATCH:
                return Version(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
