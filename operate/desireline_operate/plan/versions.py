"""Semantic versions of the plan. The changes decide which part of the version rises."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple, Self

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class Level(IntEnum):
    """The part of the version that a change raises. major: for a breaking change."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


class Version(NamedTuple):
    """A version major.minor.patch; versions compare in order."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse a version; None if the text is not a version."""
        match = _VERSION.fullmatch(text)
        return cls(*map(int, match.groups())) if match else None

    def raised(self, level: Level) -> Version:
        """Return the next version of that level."""
        match level:
            case Level.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Level.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Level.PATCH:
                return Version(self.major, self.minor, self.patch + 1)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
