"""A bucket of dead letters, topics and functions in memory, and a resolve that may be broken."""

from __future__ import annotations

import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Function, Header, Topic, consumer_group
from desireline.errors import TerminalError
from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer
from desireline.records import Outgoing, Record
from desireline.recover.redrive.follow_up import FollowUp, RedriveResult
from desireline.recover.redrive.redrive import Order, Redrive, Sending, Survey
from desireline.recover.redrive.selection import Fate, Selection
from desireline.resolve.counted_events import StoredCounts
from desireline.resolve.fold import Fold
from desireline.rows import StateRow

NOW = 1_767_600_000_000
HOUR = 3_600_000
RESOLVE = "desireline-dev-resolve-identity"
GROUP = consumer_group(Function.RESOLVE_IDENTITY, Topic.EVENTS_RECEIVED)
EXHAUSTED = "RetryAttemptsExhausted"


class CrashError(BaseException):
    """The process ends here."""


def event(number: int, *, user: int = 0, at: int = NOW - 2 * HOUR) -> CanonicalEvent:
    fragment = f"00000000-0000-0000-0000-{user:012d}"
    return CanonicalEvent(
        event_id=f"event-{number}",
        name="logged_in",
        category="product",
        source="test",
        occurred_at=at,
        received_at=at,
        aliases=(Alias(type=AliasType.USER, value=f"u{user}", fragment=fragment),),
        raw=RawPointer(id="raw"),
    )


def record(one: CanonicalEvent, offset: int, *, headers: Mapping[str, bytes] = {}) -> Record:
    return Record(
        Topic.EVENTS_RECEIVED,
        0,
        offset,
        NOW - HOUR + offset,
        one.fragment.encode(),
        one.encode(),
        headers,
    )


def kafka_object(
    records: Sequence[Record],
    *,
    function: str = RESOLVE,
    condition: str = EXHAUSTED,
    at: str = "2026-01-05T08:00:00.000Z",
) -> bytes:
    """As docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html has it."""
    by_partition: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in records:
        by_partition[f"{one.topic}-{one.partition}"].append(
            {
                "topic": one.topic,
                "partition": one.partition,
                "offset": one.offset,
                "timestamp": one.timestamp,
                "timestampType": "CREATE_TIME",
                "key": None if one.key is None else base64.b64encode(one.key).decode(),
                "value": None if one.value is None else base64.b64encode(one.value).decode(),
                "headers": [
                    {name: [byte - 256 if byte > 127 else byte for byte in value]}
                    for name, value in one.headers.items()
                ],
            }
        )
    event = {"eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka", "records": by_partition}
    return _object(
        "KafkaBatchInfo",
        {"batchSize": len(records)},
        event,
        function=function,
        condition=condition,
        at=at,
    )


def stream_object(numbers: Sequence[int], *, table: str = "desireline-dev-journeys") -> bytes:
    """As docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html has it."""
    arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-01-01T00:00:00.000"
    records = [
        {
            "eventID": f"change-{number}",
            "eventName": "MODIFY",
            "eventSource": "aws:dynamodb",
            "eventSourceARN": arn,
            "dynamodb": {
                "ApproximateCreationDateTime": NOW / 1000 - 3600 + number,
                "Keys": {"pk": {"S": f"J#{number}"}, "sk": {"S": "-"}},
                "SequenceNumber": str(number),
            },
        }
        for number in numbers
    ]
    return _object(
        "DDBStreamBatchInfo",
        {"streamArn": arn},
        {"Records": records},
        function="desireline-dev-publish-changes",
        condition=EXHAUSTED,
        at="2026-01-05T08:00:00Z",
    )


def _object(kind: str, info: Any, event: Any, *, function: str, condition: str, at: str) -> bytes:
    return json.dumps(
        {
            "requestContext": {
                "requestId": "r",
                "functionArn": f"arn:aws:lambda:us-east-1:000000000000:function:{function}:live",
                "condition": condition,
                "approximateInvokeCount": 51,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "7"},
            "version": "1.0",
            "timestamp": at,
            kind: info,
            "payload": json.dumps(event),
        }
    ).encode()


class Scene:
    """All ports at once. crash_at: the number of the port call that ends the process; calls that
    change something do it first or not, by `afterwards`."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.files: dict[str, bytes] = {}
        self.log: list[Record] = []
        self.read_up_to = 0
        self.poisoned: set[str] = set()
        self.ignored: set[str] = set()
        self.stuck = False
        self.invoked: list[tuple[str, Any]] = []
        self.answer: Callable[[str, Any], Any] = lambda function, event: {"batchItemFailures": []}
        self.suppressed: set[str] = set()
        self.calls = 0
        self.runs = 0
        self.crash_at: int | None = None
        self.afterwards = False
        self.slept = 0.0
        self.counted = StoredCounts(self.store)
        self.redrive = Redrive(
            bucket=self,
            topics=self,
            functions=self,
            counted=self.counted,
            wall=self,
            suppressed=lambda one: one.event_id in self.suppressed,
            pause=self.pause,
        )
        self.follow_up = FollowUp(
            bucket=self,
            topics=self,
            counted=self.counted,
            deployment="desireline-dev",
            pause=self.consume,
            clock=lambda: self.slept,
        )

    def now(self) -> int:
        return NOW

    def pause(self, seconds: float) -> None:
        self.slept += seconds

    def give_up(self, *objects: bytes) -> None:
        """A mapping writes these."""
        for body in objects:
            self.files[f"aws/lambda/mapping/{len(self.files):03d}"] = body

    def run(
        self, *, wait: float = 5, rate: float = 200, **selection: Any
    ) -> tuple[Survey, RedriveResult]:
        """`desireline redrive --go`."""
        found = self.redrive.survey(Selection(**selection))
        sending = self.send(found, rate=rate)
        return found, self.follow_up(sending, wait)

    def send(self, found: Survey, *, rate: float = 200) -> Sending:
        self.runs += 1
        order = Order(id=f"run-{self.runs}", requested_by="ada", why="fixed", rate=rate)
        return self.redrive.send(found, order)

    def count(self, *events: CanonicalEvent) -> None:
        """Resolve counts these."""
        for one in events:
            Fold(self.store)(one.fragment, one.account_key, [one])

    def counts(self) -> int:
        """Events in all states."""
        rows = [row for row in self.store.rows.values() if isinstance(row, StateRow)]
        return sum(sum(row.state.counts.values()) for row in rows)

    def consume(self, seconds: float = 1.0) -> None:
        """Resolve's mapping reads on: what is poisoned is set aside again."""
        self.slept += seconds
        if self.stuck:
            return
        for one in self.log[self.read_up_to :]:
            decoded = CanonicalEvent.decode(one.value or b"")
            if decoded.event_id in self.poisoned:
                self.give_up(kafka_object([one]))
            elif decoded.event_id not in self.ignored:
                self.count(decoded)
        self.read_up_to = len(self.log)

    # The bucket.

    def objects(self, *, since: int | None = None) -> Iterator[tuple[str, bytes]]:
        return (
            (name, body) for name, body in sorted(self.files.items()) if name.startswith("aws/")
        )

    def notes(self, prefix: str) -> Iterator[bytes]:
        return (body for name, body in sorted(self.files.items()) if name.startswith(prefix))

    def note(self, name: str, body: bytes) -> None:
        self._call(lambda: self.files.__setitem__(name, body))

    # Kafka.

    def produce(self, records: Sequence[Outgoing], timeout: float) -> Sequence[tuple[int, int]]:
        places: list[tuple[int, int]] = []

        def append() -> None:
            for topic, key, value, headers in records:
                partition, offset = zlib.crc32(key.encode()) % 2, len(self.log)
                places.append((partition, offset))
                self.log.append(
                    Record(topic, partition, offset, NOW, key.encode(), value, dict(headers))
                )

        self._call(append)
        return places

    def committed(self, group: str, topic: str, partitions: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, self.read_up_to)

    # Lambda.

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        def call() -> None:
            self.invoked.append((function, event))

        self._call(call)
        answer = self.answer(function, event)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _call(self, what: Callable[[], None]) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            if self.afterwards:
                what()
            raise CrashError
        what()


FUNCTION_FAILED = TerminalError("function_error", "it raised")
REDRIVEN = (Header.REDRIVE_ID, Header.REDRIVE_OF, Header.REDRIVE_COUNT)


def fates(found: Any) -> dict[Fate, int]:
    counted: dict[Fate, int] = {}
    for kind, count in found.groups.items():
        counted[kind.fate] = counted.get(kind.fate, 0) + count
    return counted
