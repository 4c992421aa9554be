"""A batch of Kafka records as Lambda is given it, and what its answer says of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import Message

CREATE_TIME = "CREATE_TIME"
ENVELOPE = 250
"""Bytes of the event around a record's own."""


class BadResponseError(Exception):
    """The answer is no partial response, or names a record that is not in the batch: the whole
    batch counts as failed."""


def event_of(batch: Iterable[Message], *, source: str, bootstrap: str) -> dict[str, Any]:
    """The MSK event: docs.aws.amazon.com/lambda/latest/dg/with-msk.html."""
    records: dict[str, list[dict[str, Any]]] = {}
    for message in batch:
        records.setdefault(place(message), []).append(_record(message))
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": source,
        "bootstrapServers": bootstrap,
        "records": records,
    }


def failed_of(batch: Sequence[Message], answer: Any) -> list[Message]:
    """The records that the answer reports as failed, in their order: only those are tried again
    (docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html).

    Raises BadResponseError.
    """
    if answer is None:
        return []
    try:
        failures = answer.get("batchItemFailures") or ()
        reported = {
            (str(one["itemIdentifier"]["partition"]), int(one["itemIdentifier"]["offset"]))
            for one in failures
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadResponseError(json.dumps(answer)[:500]) from error
    failed = [one for one in batch if (place(one), one.offset()) in reported]
    if len(failed) != len(reported):
        raise BadResponseError(json.dumps(answer)[:500])
    return failed


def size(message: Message) -> int:
    """What the record takes in the event, bytes: never less than it really does."""
    pairs: Any = message.headers() or ()
    headers = sum(len(name) + 5 * len(value or b"") + 8 for name, value in pairs)
    coded = len(message.value() or b"") + len(message.key() or b"")
    return coded * 4 // 3 + headers + len(message.topic() or "") + ENVELOPE


def partition_of(message: Message) -> int:
    """The number of its partition, which every consumed record has."""
    partition = message.partition()
    assert partition is not None
    return partition


def offset_of(message: Message) -> int:
    """Its offset, which every consumed record has."""
    offset = message.offset()
    assert offset is not None
    return offset


def place(message: Message) -> str:
    """topic-partition, as the event and its answer write it."""
    return f"{message.topic()}-{message.partition()}"


def _record(message: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1],
        "timestampType": CREATE_TIME,
        "headers": [{name: list(value or b"")} for name, value in message.headers() or ()],
    }
    for part, data in (("key", message.key()), ("value", message.value())):
        if data is not None:
            record[part] = base64.b64encode(data).decode()
    return record
