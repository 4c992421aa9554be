"""Kafka and its event source mappings: partitions, groups, retries, the bucket of dead letters."""

from __future__ import annotations

import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from desireline.contracts import Header, Topic
from desireline.errors import UnavailableError
from desireline.records import BatchResult, Outgoing, Record
from desireline.recover.redrive.dead_letters import DeadLetter, FailedBatch
from tests.simulation.processes import Function
from tests.simulation.scheduler import Crash, Scheduler

RETRIES = 4
BATCH = 5
MINUTE = 60_000


class Topics:
    """The broker. poisoned: records that kill one consumer, by (function, topic, partition,
    offset)."""

    def __init__(self, scheduler: Scheduler, names: Sequence[Topic], partitions: int) -> None:
        self._scheduler = scheduler
        self.logs: dict[str, list[list[Record]]] = {
            name: [[] for _ in range(partitions)] for name in names
        }
        self.consumers: dict[str, list[str]] = defaultdict(list)
        self.poisoned: set[tuple[str, str, int, int]] = set()

    def append(self, record: Outgoing, partitions: int) -> None:
        """Store the record; partitions: how many its producer knows of."""
        scheduler = self._scheduler
        logs = self.logs[record.topic]
        number = zlib.crc32(record.key.encode()) % min(partitions, len(logs))
        log = logs[number]
        stored = Record(
            record.topic,
            number,
            len(log),
            scheduler.now,
            record.key.encode(),
            record.value,
            dict(record.headers),
        )
        log.append(stored)
        readers = self.consumers[record.topic]
        if readers and Header.REDRIVE_ID not in record.headers:
            if scheduler.strikes(scheduler.faults.poison):
                reader = scheduler.rng.choice(readers)
                self.poisoned.add((reader, record.topic, number, stored.offset))

    def grow(self, topic: str) -> None:
        """One partition more: from now on keys move to other partitions."""
        self.logs[topic].append([])
        self._scheduler.note(f"{topic} has {len(self.logs[topic])} partitions")

    def records(self, topic: str) -> list[Record]:
        """All that was ever produced."""
        return [record for log in self.logs[topic] for record in log]


class SimProducer:
    """The Producer port of one process. Records leave when the client pleases, at the latest in a
    flush; a process that dies takes along what has not left."""

    def __init__(self, topics: Topics, scheduler: Scheduler) -> None:
        self._topics = topics
        self._scheduler = scheduler
        self._waiting: deque[Outgoing] = deque()
        self._known: dict[str, tuple[int, int]] = {}

    def produce(self, record: Outgoing) -> None:
        self._scheduler.pause(f"produce {record.topic} {record.key}")
        self._waiting.append(record)
        if self._scheduler.rng.random() < 0.3:
            self._send(self._scheduler.rng.randint(1, len(self._waiting)))

    def flush(self, timeout: float) -> None:
        scheduler = self._scheduler
        scheduler.pause("flush")
        if scheduler.strikes(scheduler.faults.kafka):
            self._send(scheduler.rng.randint(0, len(self._waiting)))
            left = list(self._waiting)
            self._waiting.clear()
            if scheduler.rng.random() < 0.5:
                scheduler.after(1, 10_000, lambda: [self._append(one) for one in left])
            raise UnavailableError("not acknowledged in time")
        self._send(len(self._waiting))
        scheduler.pause("flushed")

    def _send(self, count: int) -> None:
        for _ in range(count):
            self._append(self._waiting.popleft())

    def _append(self, record: Outgoing) -> None:
        """With the number of partitions that this client learnt of up to five minutes ago."""
        known, until = self._known.get(record.topic, (0, 0))
        if self._scheduler.now >= until:
            known = len(self._topics.logs[record.topic])
            until = self._scheduler.now + self._scheduler.rng.randint(0, 5 * MINUTE)
            self._known[record.topic] = (known, until)
        self._topics.append(record, known)


@dataclass
class _Part:
    """Records of one partition on their way."""

    records: list[Record]
    attempt: int = 0
    failed_as_one: bool = False


@dataclass
class _Group:
    """Where a mapping stands in one partition."""

    offset: int = 0
    upto: int = 0
    work: deque[_Part] = field(default_factory=deque)
    busy: bool = False


class KafkaEventSource:
    """One topic to one function: batches, partial responses, bisection, retries, dead letters."""

    def __init__(
        self,
        *,
        name: str,
        topic: Topic,
        topics: Topics,
        function: Function,
        scheduler: Scheduler,
        timeout: int,
    ) -> None:
        self.name = name
        self.topic = topic
        self.dead: list[Record] = []
        self.quarantined: list[tuple[Record, str]] = []
        self._topics = topics
        self._function = function
        self._scheduler = scheduler
        self._timeout = timeout
        self._groups: dict[int, _Group] = defaultdict(_Group)
        topics.consumers[topic].append(name)

    def poll(self) -> None:
        """Deliver what can be delivered."""
        for number, log in enumerate(self._topics.logs[self.topic]):
            group = self._groups[number]
            if group.busy:
                continue
            if not group.work:
                self._commit(group)
                if group.offset >= len(log):
                    continue
                size = self._scheduler.rng.randint(1, BATCH)
                group.upto = min(len(log), group.offset + size)
                group.work.append(_Part(log[group.offset : group.upto]))
            group.busy = True
            self._deliver(group, group.work[0])

    def _commit(self, group: _Group) -> None:
        scheduler = self._scheduler
        if group.upto > group.offset and scheduler.strikes(scheduler.faults.again):
            scheduler.note(f"{self.name}: batch from {group.offset} comes again")
            group.upto = group.offset
        group.offset = max(group.offset, group.upto)

    def _deliver(self, group: _Group, part: _Part) -> None:
        scheduler = self._scheduler
        records = list(part.records)

        def done(result: BatchResult) -> None:
            group.busy = False
            self.quarantined += result.quarantined
            self._after(group, part, [record for record, _ in result.failed])

        def died(_: BaseException) -> None:
            group.busy = False
            part.failed_as_one = len(part.records) > 1
            self._after(group, part, part.records)

        self._invoke(records, done, died)
        if scheduler.strikes(scheduler.faults.copies):
            self._invoke(records, lambda _: None, lambda _: None)

    def _invoke(
        self,
        records: list[Record],
        done: Callable[[Any], None],
        died: Callable[[BaseException], None],
    ) -> None:
        first = records[0]
        name = f"{self.name}[{self.topic}-{first.partition}@{first.offset}+{len(records)}]"
        deadly = any(
            (self.name, record.topic, record.partition, record.offset) in self._topics.poisoned
            for record in records
        )
        early = deadly and self._scheduler.rng.random() < 0.5

        def body(use_case: Any) -> BatchResult:
            if early:
                raise Crash("poisoned")
            result: BatchResult = use_case(records)
            if deadly:
                raise Crash("poisoned at the end")
            return result

        self._function.invoke(name, body, done=done, died=died, timeout=self._timeout)

    def _after(self, group: _Group, part: _Part, failed: list[Record]) -> None:
        """What failed is split if it failed as one, and else tried again, or set aside."""
        scheduler = self._scheduler
        group.work.popleft()
        if not failed:
            return
        if part.failed_as_one and len(failed) > 1:
            middle = len(failed) // 2
            group.work.extendleft(
                (_Part(failed[middle:], part.attempt), _Part(failed[:middle], part.attempt))
            )
            return
        if part.attempt >= RETRIES:
            for record in failed:
                self._set_aside(record)
            return
        group.work.appendleft(_Part(failed, part.attempt + 1))
        group.busy = True
        pause = 200 * 4**part.attempt
        scheduler.after(pause, 2 * pause, lambda: setattr(group, "busy", False))

    def _set_aside(self, record: Record) -> None:
        scheduler = self._scheduler
        self.dead.append(record)
        origin = f"{record.topic}-{record.partition}@{record.offset}"
        scheduler.note(f"{self.name}: {origin} is set aside")
        letter = DeadLetter(
            batch=FailedBatch(
                object_key=origin,
                function=self.name,
                condition="RetryAttemptsExhausted",
                code="$LATEST",
                tries=RETRIES,
                at=scheduler.now,
            ),
            topic=record.topic,
            origin=origin,
            at=record.timestamp,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        again = letter.outgoing(f"r{len(self.dead)}")
        scheduler.after(
            MINUTE,
            90 * MINUTE,
            lambda: self._topics.append(again, len(self._topics.logs[record.topic])),
        )
