"""Dead letters: the records that Lambda's mappings gave up on, out of the objects they lie in.

Shapes: docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html, services-dynamodb-errors.html.
Only a bucket as destination gets the whole event; it is there as a text inside of the document.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from desireline.contracts import Header, Topic
from desireline.records import Outgoing

KAFKA, STREAM = "KafkaBatchInfo", "DDBStreamBatchInfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """What an object says of all its records. at: when it was written, epoch ms. function: its
    deployed name. code: the function's version. envelope: the event around the records."""

    place: str
    function: str
    condition: str
    code: str
    tries: int
    at: int
    envelope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One record that a mapping gave up on.

    topic: a topic, or a table whose stream it was. origin: 'topic-partition@offset', or
    'table@sequence number': the record's own name. at: when the record was written, epoch ms.
    record: as the function was given it.
    """

    aside: SetAside
    topic: str
    origin: str
    at: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    streamed: bool = False

    @property
    def id(self) -> str:
        """What marks are kept by: one function's failure of one record."""
        return f"{self.aside.function} {self.origin}"

    @property
    def produced(self) -> bool:
        """Whether it is redriven through its topic: a topic of ours. A record of a table's stream,
        or of somebody else's topic, is handed to its function."""
        return not self.streamed and self.topic in set(Topic)

    @property
    def first(self) -> str:
        """The name of the record that this one is a copy of, or its own."""
        return self.headers.get(Header.REDRIVE_OF, self.origin.encode()).decode(errors="replace")

    @property
    def redrives(self) -> int:
        """How often it has been redriven, as far as its headers tell."""
        count = self.headers.get(Header.REDRIVE_COUNT, b"0")
        return int(count) if count.isdigit() else 0

    def outgoing(self, redrive_id: str) -> Outgoing:
        """The record as it goes to its topic again: same key and bytes, marked."""
        marks: dict[str, bytes] = {
            Header.REDRIVE_ID: redrive_id.encode(),
            Header.REDRIVE_OF: self.first.encode(),
            Header.REDRIVE_COUNT: str(self.redrives + 1).encode(),
        }
        key, value = (self.key or b"").decode(), self.value or b""
        return Outgoing(self.topic, key, value, {**self.headers, **marks})


def dead_letters(place: str, body: bytes) -> list[DeadLetter]:
    """The records of an object of the on-failure bucket; `place` is its key.

    Raises ValueError when the object is not of that form.
    """
    try:
        document: dict[str, Any] = orjson.loads(body)
        payload = document["payload"]
        event = orjson.loads(payload) if isinstance(payload, str) else payload
        if KAFKA in document:
            aside = _aside(place, document, {k: v for k, v in event.items() if k != "records"})
            return list(_kafka(aside, event))
        if STREAM in document:
            table = str(document[STREAM]["streamArn"]).split(":table/")[-1].partition("/")[0]
            return list(_stream(_aside(place, document, {}), table, event))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{place} is no object of a mapping: {error!r}") from error
    raise ValueError(f"{place} is no object of a mapping on Kafka or a table's stream")


def _aside(place: str, document: Mapping[str, Any], envelope: Mapping[str, Any]) -> SetAside:
    context, response = document["requestContext"], document.get("responseContext") or {}
    name, _, qualifier = str(context["functionArn"]).split(":function:")[-1].partition(":")
    return SetAside(
        place=place,
        function=name,
        condition=str(context["condition"]),
        code=str(response.get("executedVersion") or qualifier or "-"),
        tries=int(context.get("approximateInvokeCount", 0)),
        at=round(datetime.fromisoformat(document["timestamp"]).timestamp() * 1000),
        envelope=envelope,
    )


def _kafka(aside: SetAside, event: Mapping[str, Any]) -> Iterator[DeadLetter]:
    for records in event["records"].values():
        for record in records:
            yield DeadLetter(
                aside=aside,
                topic=record["topic"],
                origin=f"{record['topic']}-{record['partition']}@{record['offset']}",
                at=record["timestamp"],
                key=_bytes(record.get("key")),
                value=_bytes(record.get("value")),
                headers={
                    name: bytes(byte % 256 for byte in value)
                    for header in record.get("headers") or ()
                    for name, value in header.items()
                },
                record=record,
            )


def _stream(aside: SetAside, table: str, event: Mapping[str, Any]) -> Iterator[DeadLetter]:
    for record in event["Records"]:
        change = record["dynamodb"]
        yield DeadLetter(
            aside=aside,
            topic=table,
            origin=f"{table}@{change['SequenceNumber']}",
            at=round(float(change["ApproximateCreationDateTime"]) * 1000),
            record=record,
            streamed=True,
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
