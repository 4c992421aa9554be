"""Which dead letters are meant, and what is to become of each: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from desireline.recover.redrive.contents import Contents
from desireline.recover.redrive.dead_letters import DeadLetter

FORCED_FROM = 2
"""A record that came back this often comes back again: somebody has to say that this time is
different."""

HOUR, DAY = 3_600_000, 86_400_000
_AGES = ((HOUR, "< 1 h"), (DAY, "< 1 d"), (3 * DAY, "< 3 d"), (7 * DAY, "< 7 d"))


class Fate(StrEnum):
    """What becomes of a dead letter."""

    REDRIVE = "to redrive"
    MARKED = "redriven already"
    TIRED = "redriven twice, needs --force"
    SUPPRESSED = "suppressed"
    EMPTY = "without a value"
    LATER = "beyond the limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which dead letters are meant; None and empty are all. since, until: when they were set
    aside, epoch ms, until excluded. functions and topics: part of a deployed name is enough for a
    function. ids: of events. limit: records that one run redrives at most."""

    topic: str | None = None
    function: str | None = None
    since: int | None = None
    until: int | None = None
    reason: str | None = None
    ids: frozenset[str] = frozenset()
    limit: int = 10_000
    force: bool = False

    def has(self, letter: DeadLetter, about: Contents) -> bool:
        """Whether it is meant."""
        aside = letter.aside
        return (
            (self.topic is None or letter.topic == self.topic)
            and (self.function is None or _named(self.function, aside.function))
            and (self.since is None or aside.at >= self.since)
            and (self.until is None or aside.at < self.until)
            and (self.reason is None or self.reason.lower() in aside.condition.lower())
            and (not self.ids or about.id in self.ids)
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """What earlier redrives did, by a letter's id. gone: sent on its way. tries: how often its
    function was handed it in vain."""

    gone: frozenset[str] = frozenset()
    tries: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, notes: Sequence[bytes]) -> Marks:
        """Out of what `mark` wrote."""
        gone: set[str] = set()
        tries: dict[str, int] = {}
        for note in map(orjson.loads, notes):
            gone.update(note["gone"])
            for letter in note["failed"]:
                tries[letter] = tries.get(letter, 0) + 1
        return cls(frozenset(gone), tries)


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one kind, as they are counted: a row of the table."""

    function: str
    topic: str
    reason: str
    version: str
    age: str
    fate: Fate


def fate(letter: DeadLetter, marks: Marks, *, suppressed: bool, force: bool) -> Fate:
    """What is to become of a letter, the limit apart."""
    if letter.id in marks.gone:
        return Fate.MARKED
    if suppressed:
        return Fate.SUPPRESSED
    if letter.produced and letter.value is None:
        return Fate.EMPTY
    if letter.redrives + marks.tries.get(letter.id, 0) >= FORCED_FROM and not force:
        return Fate.TIRED
    return Fate.REDRIVE


def group(letter: DeadLetter, about: Contents, decided: Fate, now: int) -> Group:
    """Where it is counted."""
    aside = letter.aside
    return Group(
        aside.function,
        letter.topic,
        aside.condition,
        f"schema {about.schema}, plan {about.plan}, code {aside.code}",
        _age(now - letter.at),
        decided,
    )


def order(letter: DeadLetter) -> tuple[str, int, str, int]:
    """Letters of a topic in the order in which they were written."""
    name, _, number = letter.origin.rpartition("@")
    return (letter.topic, letter.at, name, int(number) if number.isdigit() else 0)


def _age(age: int) -> str:
    return next((name for limit, name in _AGES if age < limit), "7 d and more")


def _named(wanted: str, deployed: str) -> bool:
    return deployed.endswith(wanted.replace("_", "-"))
