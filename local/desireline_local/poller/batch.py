"""Convert a batch of Kafka records to a Lambda event, and read the function's answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import Message

CREATE_TIME = "CREATE_TIME"
ENVELOPE = 250
"""Bytes that a record adds to the event besides its own."""


class BadResponseError(Exception):
    """The answer is not a partial response, or names a record outside the batch. The whole batch
    then counts as failed."""


def event_of(batch: Iterable[Message], *, source: str, bootstrap: str) -> dict[str, Any]:
    """Build the MSK event: docs.aws.amazon.com/lambda/latest/dg/with-msk.html."""
    records: dict[str, list[dict[str, Any]]] = {}
    for message in batch:
        records.setdefault(partition_key(message), []).append(_record(message))
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": source,
        "bootstrapServers": bootstrap,
        "records": records,
    }


def failed_of(batch: Sequence[Message], answer: Any) -> list[Message]:
    """Return the records that the answer reports as failed, in order. Lambda retries only those
    (docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html).

    Raises BadResponseError.
    """
    if answer is None:
        return []
    try:
        failures = answer.get("batchItemFailures") or ()
        identifiers = {
            (str(item["itemIdentifier"]["partition"]), int(item["itemIdentifier"]["offset"]))
            for item in failures
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadResponseError(json.dumps(answer)[:500]) from error
    failed = [record for record in batch if (partition_key(record), record.offset()) in identifiers]
    if len(failed) != len(identifiers):
        raise BadResponseError(json.dumps(answer)[:500])
    return failed


def size(message: Message) -> int:
    """Return an upper bound of the record's bytes in the event."""
    pairs: Any = message.headers() or ()
    headers = sum(len(name) + 5 * len(value or b"") + 8 for name, value in pairs)
    coded = len(message.value() or b"") + len(message.key() or b"")
    return coded * 4 // 3 + headers + len(message.topic() or "") + ENVELOPE


def partition_of(message: Message) -> int:
    """Return the record's partition, which every consumed record has."""
    partition = message.partition()
    assert partition is not None
    return partition


def offset_of(message: Message) -> int:
    """Return the record's offset, which every consumed record has."""
    offset = message.offset()
    assert offset is not None
    return offset


def partition_key(message: Message) -> str:
    """Return topic-partition, the key in the event and in the answer."""
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
