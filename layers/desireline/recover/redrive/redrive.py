"""Redrive: count, and if told so, send each dead letter its way again, mark it, see it through.

A record of one of our topics goes to that topic again, with the same key and bytes, so that order,
back-pressure and the rule "one writer" hold; what a table's stream or somebody else's topic brought
is handed to its function. Marks are written after the flush and nothing is deleted. So a run may be
interrupted anywhere and repeated: what was sent and not marked is sent twice, and counted once
(delivery rules 2 and 17).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from desireline.contracts import Topic
from desireline.events import CanonicalEvent
from desireline.ports import Clock
from desireline.recover.redrive.contents import Contents, contents
from desireline.recover.redrive.dead_letters import DeadLetter, dead_letters
from desireline.recover.redrive.hand_over import hand_over
from desireline.recover.redrive.ports import (
    Counted,
    DeadLetterBucket,
    Functions,
    Suppressed,
    Topics,
)
from desireline.recover.redrive.selection import Fate, Group, Marks, Selection, fate, group, order

FLUSH_SECONDS = 30.0
PORTION = 200
"""Records between two flushes: what an interrupt may cause to be sent twice."""
LOOKED_UP = 200
MARKS, RUNS = "redrives/marks/", "redrives/runs/"

T = TypeVar("T")
Report = Callable[[int, int], None]
"""Told how many of how many are done."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run of `desireline redrive --go`: who wants it and why. rate: records a second."""

    id: str
    who: str
    why: str
    rate: float = 200.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A letter that is redriven. counted: whether its event had been counted before; None where
    nobody counts."""

    letter: DeadLetter
    event: CanonicalEvent | None
    counted: bool | None


@dataclass(slots=True)
class Survey:
    """What lies in the bucket. folded: those of a group whose event has been counted already.
    unreadable: objects that are none of a mapping's."""

    at: int
    groups: Counter[Group] = field(default_factory=Counter)
    folded: Counter[Group] = field(default_factory=Counter)
    chosen: list[Chosen] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter and where its record lies now."""

    chosen: Chosen
    partition: int
    offset: int


@dataclass(slots=True)
class Sending:
    """What a run sent: records into topics, and those that functions took or did not take."""

    order: Order
    began: int
    sent: list[Sent] = field(default_factory=list)
    taken: list[DeadLetter] = field(default_factory=list)
    failed: list[DeadLetter] = field(default_factory=list)
    marks: int = 0


class Redrive:
    """See the module. wall: the wall clock; pause: waits so many seconds."""

    def __init__(
        self,
        *,
        bucket: DeadLetterBucket,
        topics: Topics,
        functions: Functions,
        counted: Counted,
        wall: Clock,
        suppressed: Suppressed = lambda _: False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._topics = topics
        self._functions = functions
        self._counted = counted
        self._wall = wall
        self._suppressed = suppressed
        self._pause = pause

    def survey(self, selection: Selection, report: Report = silent) -> Survey:
        """Count what lies there and choose what to redrive, in the order of its writing.

        Writes nothing. Raises RetryableError."""
        found = Survey(self._wall.now())
        marks = Marks.of(list(self._bucket.notes(MARKS)))
        for some in _portions(self._selected(selection, found, report), LOOKED_UP):
            events = [about.event for letter, about in some if _is_counted(letter, about)]
            known = self._counted([event for event in events if event is not None])
            for letter, about in some:
                self._place(letter, about, known, marks=marks, selection=selection, found=found)
        found.chosen.sort(key=lambda one: order(one.letter))
        return found

    def send(self, found: Survey, order: Order, report: Report = silent) -> Sending:
        """Send what was chosen its way, marking each portion when it is safe.

        Raises RetryableError: what came before is marked, and the run may be repeated."""
        sending = Sending(order, self._wall.now())
        topics = [one for one in found.chosen if one.letter.produced]
        others = [one.letter for one in found.chosen if not one.letter.produced]
        placed: dict[str, tuple[int, int]] = {}
        for some in _portions(topics, max(1, min(PORTION, round(order.rate)))):
            began = time.monotonic()
            self._produce(some, sending, placed)
            report(len(sending.sent), len(found.chosen))
            self._pause(max(0.0, len(some) / order.rate - (time.monotonic() - began)))
        for taken, failed in hand_over(others, self._functions):
            sending.taken += taken
            sending.failed += failed
            self._mark(sending, gone=taken, failed=failed)
            done = len(sending.sent) + len(sending.taken) + len(sending.failed)
            report(done, len(found.chosen))
        return sending

    def record(self, sending: Sending, outcome: dict[str, int]) -> None:
        """Keep who redrove what and why, and what came of it."""
        run = sending.order
        note = {"id": run.id, "who": run.who, "why": run.why, "began": sending.began}
        self._bucket.note(f"{RUNS}{run.id}.json", orjson.dumps({**note, "outcome": outcome}))

    def _selected(
        self, selection: Selection, found: Survey, report: Report
    ) -> Iterator[tuple[DeadLetter, Contents]]:
        for number, (place, body) in enumerate(self._bucket.objects(since=selection.since), 1):
            try:
                letters = dead_letters(place, body)
            except ValueError:
                found.unreadable.append(place)
                continue
            for letter in letters:
                about = contents(letter)
                if selection.has(letter, about):
                    yield letter, about
            report(number, 0)

    def _place(
        self,
        letter: DeadLetter,
        about: Contents,
        known: frozenset[str],
        *,
        marks: Marks,
        selection: Selection,
        found: Survey,
    ) -> None:
        suppressed = about.event is not None and self._suppressed(about.event)
        decided = fate(letter, marks, suppressed=suppressed, force=selection.force)
        if decided is Fate.REDRIVE and len(found.chosen) >= selection.limit:
            decided = Fate.LATER
        kind = group(letter, about, decided, found.at)
        counted = about.id in known if _is_counted(letter, about) else None
        found.groups[kind] += 1
        found.folded[kind] += bool(counted)
        if decided is Fate.REDRIVE:
            found.chosen.append(Chosen(letter, about.event, counted))

    def _produce(
        self, some: Sequence[Chosen], sending: Sending, placed: dict[str, tuple[int, int]]
    ) -> None:
        """A record that several functions gave up on is produced once: all read its topic."""
        new = {one.letter.origin: one.letter for one in some if one.letter.origin not in placed}
        records = [letter.outgoing(sending.order.id) for letter in new.values()]
        where = self._topics.produce(records, FLUSH_SECONDS)
        placed.update(zip(new, where, strict=True))
        self._mark(sending, gone=[one.letter for one in some], failed=())
        sending.sent += [Sent(one, *placed[one.letter.origin]) for one in some]

    def _mark(
        self, sending: Sending, *, gone: Sequence[DeadLetter], failed: Sequence[DeadLetter]
    ) -> None:
        run = sending.order
        note = {
            "redrive": run.id,
            "at": self._wall.now(),
            "who": run.who,
            "why": run.why,
            "gone": [letter.id for letter in gone],
            "failed": [letter.id for letter in failed],
        }
        sending.marks += 1
        self._bucket.note(f"{MARKS}{run.id}/{sending.marks:06}.json", orjson.dumps(note))


def _is_counted(letter: DeadLetter, about: Contents) -> bool:
    """Whether it is an event on its way to being counted."""
    return letter.topic == Topic.EVENTS_RECEIVED and about.event is not None


def _portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    portion: list[T] = []
    for item in items:
        portion.append(item)
        if len(portion) == size:
            yield portion
            portion = []
    if portion:
        yield portion
