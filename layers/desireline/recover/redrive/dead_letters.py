"""Read dead letters: the records that Lambda's event source mappings gave up on.

An object of the on-failure bucket describes a failed batch, and holds the batch's event as a text.
Only a bucket as destination receives the whole event.
Shapes: docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html, services-dynamodb-errors.html.
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
class FailedBatch:
    """The description of a batch that a mapping gave up on, from an object of the bucket.

    object_key: the object's key. function: the deployed name. condition: the reason. code: the
    function's version. tries: the number of invocations. at: when the mapping wrote the object,
    epoch ms. envelope: the event without its records."""

    object_key: str
    function: str
    condition: str
    code: str
    tries: int
    at: int
    envelope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that a mapping gave up on.

    batch: the failed batch. topic: the topic, or the table of the stream. origin: the record's
    name, 'topic-partition@offset' or 'table@sequence number'. at: when the record was written,
    epoch ms. record: as in the function's event. streamed: whether it comes from a table's stream.
    """

    batch: FailedBatch
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
        """The key of the letter's marks: the function and the record."""
        return f"{self.batch.function} {self.origin}"

    @property
    def produced(self) -> bool:
        """Whether a redrive produces the record to its topic, which is one of ours. Records of
        table streams and of other topics go to their function instead."""
        return not self.streamed and self.topic in set(Topic)

    @property
    def first(self) -> str:
        """The origin of the first record, of which a redriven record is a copy."""
        return self.headers.get(Header.REDRIVE_OF, self.origin.encode()).decode(errors="replace")

    @property
    def redrives(self) -> int:
        """The number of earlier redrives, from the record's headers."""
        count = self.headers.get(Header.REDRIVE_COUNT, b"0")
        return int(count) if count.isdigit() else 0

    def outgoing(self, redrive_id: str) -> Outgoing:
        """Make the record to produce: the same key and bytes, with the headers of a redrive."""
        marks: dict[str, bytes] = {
            Header.REDRIVE_ID: redrive_id.encode(),
            Header.REDRIVE_OF: self.first.encode(),
            Header.REDRIVE_COUNT: str(self.redrives + 1).encode(),
        }
        key, value = (self.key or b"").decode(), self.value or b""
        return Outgoing(self.topic, key, value, {**self.headers, **marks})


def dead_letters(object_key: str, body: bytes) -> list[DeadLetter]:
    """Split an object of the on-failure bucket into its records.

    Raises ValueError if no event source mapping wrote the object.
    """
    try:
        document: dict[str, Any] = orjson.loads(body)
        payload = document["payload"]
        event = orjson.loads(payload) if isinstance(payload, str) else payload
        if KAFKA in document:
            envelope = {k: v for k, v in event.items() if k != "records"}
            return list(_kafka(_failed_batch(object_key, document, envelope), event))
        if STREAM in document:
            table = str(document[STREAM]["streamArn"]).split(":table/")[-1].partition("/")[0]
            return list(_stream(_failed_batch(object_key, document, {}), table, event))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{object_key} must be an object of a mapping: {error!r}") from error
    raise ValueError(f"{object_key} must be an object of a mapping on Kafka or a table's stream")


def _failed_batch(
    object_key: str, document: Mapping[str, Any], envelope: Mapping[str, Any]
) -> FailedBatch:
    context, response = document["requestContext"], document.get("responseContext") or {}
    name, _, qualifier = str(context["functionArn"]).split(":function:")[-1].partition(":")
    return FailedBatch(
        object_key=object_key,
        function=name,
        condition=str(context["condition"]),
        code=str(response.get("executedVersion") or qualifier or "-"),
        tries=int(context.get("approximateInvokeCount", 0)),
        at=round(datetime.fromisoformat(document["timestamp"]).timestamp() * 1000),
        envelope=envelope,
    )


def _kafka(batch: FailedBatch, event: Mapping[str, Any]) -> Iterator[DeadLetter]:
    for records in event["records"].values():
        for record in records:
            yield DeadLetter(
                batch=batch,
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


def _stream(batch: FailedBatch, table: str, event: Mapping[str, Any]) -> Iterator[DeadLetter]:
    for record in event["Records"]:
        change = record["dynamodb"]
        yield DeadLetter(
            batch=batch,
            topic=table,
            origin=f"{table}@{change['SequenceNumber']}",
            at=round(float(change["ApproximateCreationDateTime"]) * 1000),
            record=record,
            streamed=True,
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
