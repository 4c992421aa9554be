"""What became of redriven records: waited for until their consumers have passed them."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from desireline.contracts import Header, Topic, consumer_group
from desireline.recover.redrive.dead_letters import dead_letters
from desireline.recover.redrive.ports import Counted, DeadLetterBucket, Topics
from desireline.recover.redrive.redrive import Report, Sending, Sent, silent

LOOK_SECONDS = 1.0


class Became:
    """The words of an outcome, in the order in which they are shown."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    PASSED = "passed"
    FAILED = "failed"
    NOT_COUNTED = "not counted"
    WAITING = "not through yet"


GOOD = (Became.FOLDED, Became.DUPLICATE, Became.PASSED)
WORDS = (*GOOD, Became.FAILED, Became.NOT_COUNTED, Became.WAITING)


@dataclass(slots=True)
class Outcome:
    """Counts by (function, topic) and word. folded: counted now for the first time. duplicate: it
    had been counted. passed: its function is through with it, and counts nothing. failed: set
    aside again, or not taken by its function. not counted: resolve is through with it and has not
    counted it: quarantined, or a machine's. not through yet: patience ended before."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> Counter[str]:
        """By word."""
        total: Counter[str] = Counter()
        for (_, _, word), count in self.counts.items():
            total[word] += count
        return total

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return all(self.total[word] == 0 for word in WORDS if word not in GOOD)


class SeeThrough:
    """deployment: the prefix of its functions' names. clock: seconds that only go on."""

    def __init__(
        self,
        *,
        bucket: DeadLetterBucket,
        topics: Topics,
        counted: Counted,
        deployment: str,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bucket = bucket
        self._topics = topics
        self._counted = counted
        self._deployment = deployment
        self._pause = pause
        self._clock = clock

    def __call__(self, sending: Sending, patience: float, report: Report = silent) -> Outcome:
        """Wait, at most `patience` seconds, until each function's group has passed what was sent
        for it; then tell what became of it. Raises RetryableError."""
        waiting = self._wait(sending.sent, patience, report)
        again = self._set_aside_again(sending)
        through = [one for one in sending.sent if id(one) not in waiting]
        known = self._counted(
            [
                one.chosen.event
                for one in through
                if one.chosen.counted is False and one.chosen.event is not None
            ]
        )
        outcome = Outcome()
        for one in sending.sent:
            letter = one.chosen.letter
            if id(one) in waiting:
                word = Became.WAITING
            elif (letter.aside.function, letter.first) in again:
                word = Became.FAILED
            else:
                word = _word(one, known)
            outcome.counts[letter.aside.function, letter.topic, word] += 1
        for letter in sending.taken:
            outcome.counts[letter.aside.function, letter.topic, Became.PASSED] += 1
        for letter in sending.failed:
            outcome.counts[letter.aside.function, letter.topic, Became.FAILED] += 1
        return outcome

    def _wait(self, sent: Sequence[Sent], patience: float, report: Report) -> set[int]:
        """The identities of those that are not through in time."""
        left = {id(one): one for one in sent}
        until = self._clock() + patience
        while True:
            for (group, topic), some in self._by_group(left.values()).items():
                ends = self._topics.committed(group, topic, {one.partition for one in some})
                for one in some:
                    if ends.get(one.partition, -1) > one.offset:
                        del left[id(one)]
            report(len(sent) - len(left), len(sent))
            if not left or self._clock() >= until:
                return set(left)
            self._pause(LOOK_SECONDS)

    def _by_group(self, sent: Iterable[Sent]) -> dict[tuple[str, str], list[Sent]]:
        groups: dict[tuple[str, str], list[Sent]] = defaultdict(list)
        for one in sent:
            letter = one.chosen.letter
            name = letter.aside.function.removeprefix(f"{self._deployment}-")
            groups[consumer_group(name, Topic(letter.topic)), letter.topic].append(one)
        return groups

    def _set_aside_again(self, sending: Sending) -> set[tuple[str, str]]:
        """(function, first origin) of what this run sent and mappings gave up on again."""
        mine = sending.order.id.encode()
        found: set[tuple[str, str]] = set()
        for place, body in self._bucket.objects(since=sending.began):
            try:
                letters = dead_letters(place, body)
            except ValueError:
                continue
            found.update(
                (letter.aside.function, letter.first)
                for letter in letters
                if letter.headers.get(Header.REDRIVE_ID) == mine
            )
        return found


def _word(one: Sent, known: frozenset[str]) -> str:
    chosen = one.chosen
    if chosen.counted is None:
        return Became.PASSED
    if chosen.counted:
        return Became.DUPLICATE
    counted = chosen.event is not None and chosen.event.event_id in known
    return Became.FOLDED if counted else Became.NOT_COUNTED
