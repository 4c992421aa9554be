"""Redrive: what a Kafka mapping gave up on lies in a bucket, and goes to its topic again.

To the same topic with the same key and bytes, so that order, back-pressure and the rule "one
writer" hold; the fold's ids make the repetition exact (delivery rules 2 and 17). Objects are
marked after the flush and never deleted; the bucket's lifecycle does that.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from desireline.contracts import Header
from desireline.ports import Producer
from desireline.records import Outgoing

FLUSH_SECONDS = 30.0
MARK = "redriven"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that a mapping gave up on. `origin` is 'topic-partition@offset'."""

    topic: str
    origin: str
    key: str
    value: bytes
    headers: Mapping[str, bytes]
    function: str
    condition: str

    def outgoing(self, redrive_id: str) -> Outgoing:
        """The record as it goes to its topic again, marked."""
        count = int(self.headers.get(Header.REDRIVE_COUNT, b"0")) + 1
        marks: dict[str, bytes] = {
            Header.REDRIVE_ID: redrive_id.encode(),
            Header.REDRIVE_OF: self.origin.encode(),
            Header.REDRIVE_COUNT: str(count).encode(),
        }
        return Outgoing(self.topic, self.key, self.value, {**self.headers, **marks})


class DeadLetterBucket(Protocol):
    """The bucket of on-failure destinations."""

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Key and body of every object that is not marked."""
        ...

    def mark(self, key: str, redrive_id: str) -> None:
        """Remember that the object has been redriven."""
        ...


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive found and did: counts by (function, topic, condition)."""

    found: Counter[tuple[str, str, str]]
    objects: int
    produced: int


def redrive(
    bucket: DeadLetterBucket,
    producer: Producer,
    *,
    redrive_id: str,
    go: bool,
    report: Callable[[str], None] = lambda _: None,
) -> Redriven:
    """Count what lies in the bucket; with `go`, produce it and mark it, an object at a time.

    Interrupted anywhere it may be run again: a record produced twice is counted once.
    Raises UnavailableError when Kafka does not take a record; what came before is marked.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    objects = produced = 0
    for key, body in bucket.objects():
        letters = dead_letters(body)
        found.update((letter.function, letter.topic, letter.condition) for letter in letters)
        objects += 1
        if go:
            for letter in letters:
                producer.produce(letter.outgoing(redrive_id))
            producer.flush(FLUSH_SECONDS)
            bucket.mark(key, redrive_id)
            produced += len(letters)
            report(key)
    return Redriven(found, objects, produced)


def dead_letters(body: bytes) -> Sequence[DeadLetter]:
    """The records of an object that a Kafka mapping wrote to its on-failure destination.

    Raises ValueError when the object is not of that form.
    """
    try:
        document: dict[str, Any] = json.loads(body)
        context = document["requestContext"]
        function = str(context["functionArn"]).split(":function:")[-1].split(":")[0]
        return [
            _letter(record, function, str(context["condition"])) for record in _records(document)
        ]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"not an on-failure object of a Kafka mapping: {error!r}") from error


def _records(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    payload = document["payload"]
    if isinstance(payload, str):
        payload = json.loads(payload)
    for records in payload["records"].values():
        yield from records


def _letter(record: Mapping[str, Any], function: str, condition: str) -> DeadLetter:
    headers = {
        name: bytes(byte % 256 for byte in value)
        for header in record.get("headers", [])
        for name, value in header.items()
    }
    return DeadLetter(
        topic=record["topic"],
        origin=f"{record['topic']}-{record['partition']}@{record['offset']}",
        key=base64.b64decode(record.get("key") or b"").decode(),
        value=base64.b64decode(record["value"]),
        headers=headers,
        function=function,
        condition=condition,
    )
