"""Redrive: count dead letters, send the selected ones again, and mark them.

A record of one of our topics goes to that topic again, with the same key and bytes. So order,
back-pressure and the rule "one writer" hold. A record of a table's stream or of another cluster's
topic goes to its function. A run writes the marks after the flush, and deletes nothing. So it may
be interrupted at any point and repeated. A record without a mark is then sent twice, but counts
once (delivery rules 2 and 17).
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
    CountedEvents,
    DeadLetterBucket,
    Functions,
    Suppressed,
    Topics,
)
from desireline.recover.redrive.selection import Fate, Group, Marks, Selection, fate, group, order

FLUSH_SECONDS = 30.0
PORTION = 200
"""The most records between two flushes. An interrupted run sends at most so many twice."""
LOOKED_UP = 200
"""Letters whose events one lookup of counted events includes."""
MARKS, RUNS = "redrives/marks/", "redrives/runs/"

T = TypeVar("T")
Report = Callable[[int, int], None]
"""Receives the number of finished records, and the number of all records or 0."""


def silent(done: int, total: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of a run of `desireline redrive --go`. requested_by: the operator. why: the reason.
    rate: records per second."""

    id: str
    requested_by: str
    why: str
    rate: float = 200.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A letter to redrive. counted: whether resolve had counted its event before; None if the
    letter's function counts no events."""

    letter: DeadLetter
    event: CanonicalEvent | None
    counted: bool | None


@dataclass(slots=True)
class Survey:
    """The selected letters of the bucket. at: wall time, epoch ms. groups: all letters by group.
    folded: letters whose event has counted already. chosen: letters to redrive. unreadable: keys of
    objects that no mapping wrote."""

    at: int
    groups: Counter[Group] = field(default_factory=Counter)
    folded: Counter[Group] = field(default_factory=Counter)
    chosen: list[Chosen] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    """A redriven letter, with the partition and the offset of its new record."""

    chosen: Chosen
    partition: int
    offset: int


@dataclass(slots=True)
class Sending:
    """The results of a run. began: wall time, epoch ms. sent: letters produced to topics. accepted,
    failed: letters that functions processed or did not process. marks: the number of mark files."""

    order: Order
    began: int
    sent: list[Sent] = field(default_factory=list)
    accepted: list[DeadLetter] = field(default_factory=list)
    failed: list[DeadLetter] = field(default_factory=list)
    marks: int = 0


class Redrive:
    """Surveys and sends dead letters. wall: the wall clock. pause: sleeps for some seconds."""

    def __init__(
        self,
        *,
        bucket: DeadLetterBucket,
        topics: Topics,
        functions: Functions,
        counted: CountedEvents,
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
        """Count the selected letters, and choose those to redrive in the order of their writing.

        Writes nothing. Raises RetryableError."""
        survey = Survey(self._wall.now())
        marks = Marks.of(list(self._bucket.notes(MARKS)))
        for portion in _portions(self._selected(selection, survey, report), LOOKED_UP):
            events = [about.event for letter, about in portion if _is_counted(letter, about)]
            counted_ids = self._counted([event for event in events if event is not None])
            for letter, about in portion:
                self._classify(
                    letter, about, counted_ids, marks=marks, selection=selection, survey=survey
                )
        survey.chosen.sort(key=lambda chosen: order(chosen.letter))
        return survey

    def send(self, survey: Survey, order: Order, report: Report = silent) -> Sending:
        """Send the chosen letters in portions. Mark each portion after its flush.

        Raises RetryableError. The earlier portions are then marked, and the run may be repeated."""
        sending = Sending(order, self._wall.now())
        topics = [chosen for chosen in survey.chosen if chosen.letter.produced]
        others = [chosen.letter for chosen in survey.chosen if not chosen.letter.produced]
        positions: dict[str, tuple[int, int]] = {}
        for portion in _portions(topics, max(1, min(PORTION, round(order.rate)))):
            began = time.monotonic()
            self._produce(portion, sending, positions)
            report(len(sending.sent), len(survey.chosen))
            self._pause(max(0.0, len(portion) / order.rate - (time.monotonic() - began)))
        for accepted, failed in hand_over(others, self._functions):
            sending.accepted += accepted
            sending.failed += failed
            self._mark(sending, sent=accepted, failed=failed)
            done = len(sending.sent) + len(sending.accepted) + len(sending.failed)
            report(done, len(survey.chosen))
        return sending

    def record(self, sending: Sending, outcome: dict[str, int]) -> None:
        """Store who requested a run, the reason, and the counts of its outcomes."""
        order = sending.order
        note = {"id": order.id, "who": order.requested_by, "why": order.why, "began": sending.began}
        self._bucket.note(f"{RUNS}{order.id}.json", orjson.dumps({**note, "outcome": outcome}))

    def _selected(
        self, selection: Selection, survey: Survey, report: Report
    ) -> Iterator[tuple[DeadLetter, Contents]]:
        """Yield the selected letters with their contents. Note unreadable objects in the survey."""
        for number, (object_key, body) in enumerate(self._bucket.objects(since=selection.since), 1):
            try:
                letters = dead_letters(object_key, body)
            except ValueError:
                survey.unreadable.append(object_key)
                continue
            for letter in letters:
                about = contents(letter)
                if selection.has(letter, about):
                    yield letter, about
            report(number, 0)

    def _classify(
        self,
        letter: DeadLetter,
        about: Contents,
        counted_ids: frozenset[str],
        *,
        marks: Marks,
        selection: Selection,
        survey: Survey,
    ) -> None:
        """Decide a letter's fate and count it in the survey. counted_ids: of counted events."""
        suppressed = about.event is not None and self._suppressed(about.event)
        decided = fate(letter, marks, suppressed=suppressed, force=selection.force)
        if decided is Fate.REDRIVE and len(survey.chosen) >= selection.limit:
            decided = Fate.LATER
        kind = group(letter, about, decided, survey.at)
        counted = about.id in counted_ids if _is_counted(letter, about) else None
        survey.groups[kind] += 1
        survey.folded[kind] += bool(counted)
        if decided is Fate.REDRIVE:
            survey.chosen.append(Chosen(letter, about.event, counted))

    def _produce(
        self, portion: Sequence[Chosen], sending: Sending, positions: dict[str, tuple[int, int]]
    ) -> None:
        """Produce and mark a portion. positions: partition and offset by origin, of this run.

        Several functions may have given up on one record. It is produced once, because all these
        functions read its topic."""
        letters = [chosen.letter for chosen in portion]
        new = {letter.origin: letter for letter in letters if letter.origin not in positions}
        records = [letter.outgoing(sending.order.id) for letter in new.values()]
        positions.update(zip(new, self._topics.produce(records, FLUSH_SECONDS), strict=True))
        self._mark(sending, sent=letters, failed=())
        sending.sent += [Sent(chosen, *positions[chosen.letter.origin]) for chosen in portion]

    def _mark(
        self, sending: Sending, *, sent: Sequence[DeadLetter], failed: Sequence[DeadLetter]
    ) -> None:
        run = sending.order
        note = {
            "redrive": run.id,
            "at": self._wall.now(),
            "who": run.requested_by,
            "why": run.why,
            "gone": [letter.id for letter in sent],
            "failed": [letter.id for letter in failed],
        }
        sending.marks += 1
        self._bucket.note(f"{MARKS}{run.id}/{sending.marks:06}.json", orjson.dumps(note))


def _is_counted(letter: DeadLetter, about: Contents) -> bool:
    """Tell whether a letter holds an event that resolve counts."""
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
