"""FollowUp: wait until the consumers have passed the redriven records, then report the results."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from desireline.contracts import Header, Topic, consumer_group
from desireline.recover.redrive.dead_letters import dead_letters
from desireline.recover.redrive.ports import CountedEvents, DeadLetterBucket, Topics
from desireline.recover.redrive.redrive import Report, Sending, Sent, silent

LOOK_SECONDS = 1.0


class RecordOutcome:
    """The outcomes of a redriven record, in the order of the table that shows them.

    folded: it counts now for the first time. duplicate: it had counted before. passed: its function
    has processed it, and counts no events. failed: a mapping gave up on it again, or its function
    did not process it. not counted: resolve has processed it without counting it, because it was
    quarantined or came from a machine. not through yet: the wait ended first."""

    FOLDED = "folded"
    DUPLICATE = "duplicate"
    PASSED = "passed"
    FAILED = "failed"
    NOT_COUNTED = "not counted"
    WAITING = "not through yet"


GOOD = (RecordOutcome.FOLDED, RecordOutcome.DUPLICATE, RecordOutcome.PASSED)
OUTCOMES = (*GOOD, RecordOutcome.FAILED, RecordOutcome.NOT_COUNTED, RecordOutcome.WAITING)


@dataclass(slots=True)
class RedriveResult:
    """The counts of a redrive by (function, topic, outcome). See `RecordOutcome`."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> Counter[str]:
        """The counts by outcome."""
        total: Counter[str] = Counter()
        for (_, _, outcome), count in self.counts.items():
            total[outcome] += count
        return total

    @property
    def good(self) -> bool:
        """Whether all records are folded, duplicate or passed."""
        return all(self.total[outcome] == 0 for outcome in OUTCOMES if outcome not in GOOD)


class FollowUp:
    """Waits for the results of a redrive. deployment: the prefix of its functions' names. pause:
    sleeps for some seconds. clock: monotonic seconds."""

    def __init__(
        self,
        *,
        bucket: DeadLetterBucket,
        topics: Topics,
        counted: CountedEvents,
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

    def __call__(self, sending: Sending, patience: float, report: Report = silent) -> RedriveResult:
        """Wait until each function's group has passed its records, then count the outcomes.

        patience: the most seconds to wait. report: receives the progress. Raises RetryableError."""
        waiting = self._wait(sending.sent, patience, report)
        failed = self._failed_again(sending)
        passed = [sent for sent in sending.sent if id(sent) not in waiting]
        counted_ids = self._counted(
            [
                sent.chosen.event
                for sent in passed
                if sent.chosen.counted is False and sent.chosen.event is not None
            ]
        )
        result = RedriveResult()
        for sent in sending.sent:
            letter = sent.chosen.letter
            if id(sent) in waiting:
                outcome = RecordOutcome.WAITING
            elif (letter.batch.function, letter.first) in failed:
                outcome = RecordOutcome.FAILED
            else:
                outcome = _outcome(sent, counted_ids)
            result.counts[letter.batch.function, letter.topic, outcome] += 1
        for letter in sending.accepted:
            result.counts[letter.batch.function, letter.topic, RecordOutcome.PASSED] += 1
        for letter in sending.failed:
            result.counts[letter.batch.function, letter.topic, RecordOutcome.FAILED] += 1
        return result

    def _wait(self, sent: Sequence[Sent], patience: float, report: Report) -> set[int]:
        """Wait for these records. Return the `id()` of each one that its group has not passed."""
        left = {id(record): record for record in sent}
        until = self._clock() + patience
        while True:
            for (group, topic), records in self._by_group(left.values()).items():
                partitions = {record.partition for record in records}
                ends = self._topics.committed(group, topic, partitions)
                for record in records:
                    if ends.get(record.partition, -1) > record.offset:
                        del left[id(record)]
            report(len(sent) - len(left), len(sent))
            if not left or self._clock() >= until:
                return set(left)
            self._pause(LOOK_SECONDS)

    def _by_group(self, sent: Iterable[Sent]) -> dict[tuple[str, str], list[Sent]]:
        groups: dict[tuple[str, str], list[Sent]] = defaultdict(list)
        for record in sent:
            letter = record.chosen.letter
            name = letter.batch.function.removeprefix(f"{self._deployment}-")
            groups[consumer_group(name, Topic(letter.topic)), letter.topic].append(record)
        return groups

    def _failed_again(self, sending: Sending) -> set[tuple[str, str]]:
        """Return (function, first origin) of records that this run sent and that failed again."""
        redrive_id = sending.order.id.encode()
        failed: set[tuple[str, str]] = set()
        for object_key, body in self._bucket.objects(since=sending.began):
            try:
                letters = dead_letters(object_key, body)
            except ValueError:
                continue
            failed.update(
                (letter.batch.function, letter.first)
                for letter in letters
                if letter.headers.get(Header.REDRIVE_ID) == redrive_id
            )
        return failed


def _outcome(sent: Sent, counted_ids: frozenset[str]) -> str:
    chosen = sent.chosen
    if chosen.counted is None:
        return RecordOutcome.PASSED
    if chosen.counted:
        return RecordOutcome.DUPLICATE
    counted = chosen.event is not None and chosen.event.event_id in counted_ids
    return RecordOutcome.FOLDED if counted else RecordOutcome.NOT_COUNTED
