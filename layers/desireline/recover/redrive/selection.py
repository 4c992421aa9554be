"""Select dead letters and decide the fate of each. All functions are pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from desireline.recover.redrive.contents import Contents
from desireline.recover.redrive.dead_letters import DeadLetter

FORCED_FROM = 2
"""A redrive skips a record that failed after so many redrives, unless the operator adds --force."""

HOUR, DAY = 3_600_000, 86_400_000
_AGES = ((HOUR, "< 1 h"), (DAY, "< 1 d"), (3 * DAY, "< 3 d"), (7 * DAY, "< 7 d"))


class Fate(StrEnum):
    """The decision about a dead letter, in the words of the table that shows it."""

    REDRIVE = "to redrive"
    MARKED = "redriven already"
    TIRED = "redriven twice, needs --force"
    SUPPRESSED = "suppressed"
    EMPTY = "without a value"
    LATER = "beyond the limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Selects dead letters. None and an empty set accept all values. topic: the exact name.
    function: the end of its deployed name. since, until: when the mapping gave up, epoch ms;
    `until` is excluded. ids: event ids. limit: the most records that a run redrives. force: also
    redrive records that failed after `FORCED_FROM` redrives."""

    topic: str | None = None
    function: str | None = None
    since: int | None = None
    until: int | None = None
    reason: str | None = None
    ids: frozenset[str] = frozenset()
    limit: int = 10_000
    force: bool = False

    def has(self, letter: DeadLetter, about: Contents) -> bool:
        """Tell whether the selection includes a letter. about: the letter's contents."""
        batch = letter.batch
        return (
            (self.topic is None or letter.topic == self.topic)
            and (self.function is None or _is_function(self.function, batch.function))
            and (self.since is None or batch.at >= self.since)
            and (self.until is None or batch.at < self.until)
            and (self.reason is None or self.reason.lower() in batch.condition.lower())
            and (not self.ids or about.id in self.ids)
        )


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of earlier redrives, by letter id. sent: the redriven letters. tries: the number of
    failed invocations of a letter's function."""

    sent: frozenset[str] = frozenset()
    tries: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, notes: Sequence[bytes]) -> Marks:
        """Read the mark files of all earlier redrives."""
        sent: set[str] = set()
        tries: dict[str, int] = {}
        for note in map(orjson.loads, notes):
            sent.update(note["gone"])
            for letter in note["failed"]:
                tries[letter] = tries.get(letter, 0) + 1
        return cls(frozenset(sent), tries)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of dead letters: a row of the table that shows the counts."""

    function: str
    topic: str
    reason: str
    version: str
    age: str
    fate: Fate


def fate(letter: DeadLetter, marks: Marks, *, suppressed: bool, force: bool) -> Fate:
    """Decide a letter's fate, without the limit of a run. suppressed: an alias is suppressed."""
    if letter.id in marks.sent:
        return Fate.MARKED
    if suppressed:
        return Fate.SUPPRESSED
    if letter.produced and letter.value is None:
        return Fate.EMPTY
    if letter.redrives + marks.tries.get(letter.id, 0) >= FORCED_FROM and not force:
        return Fate.TIRED
    return Fate.REDRIVE


def group(letter: DeadLetter, about: Contents, decided: Fate, now: int) -> Group:
    """Return the group that counts a letter. now: wall time, epoch ms."""
    batch = letter.batch
    return Group(
        batch.function,
        letter.topic,
        batch.condition,
        f"schema {about.schema}, plan {about.plan}, code {batch.code}",
        _age(now - letter.at),
        decided,
    )


def order(letter: DeadLetter) -> tuple[str, int, str, int]:
    """Return a sort key: letters of a topic in the order of their writing."""
    name, _, number = letter.origin.rpartition("@")
    return (letter.topic, letter.at, name, int(number) if number.isdigit() else 0)


def _age(age: int) -> str:
    return next((name for limit, name in _AGES if age < limit), "7 d and more")


def _is_function(name: str, deployed: str) -> bool:
    return deployed.endswith(name.replace("_", "-"))
