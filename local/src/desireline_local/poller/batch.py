"""A batch of Kafka records as Lambda is given it, and what its answer says of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Message, TopicPartition

CREATE_TIME = "CREATE_TIME"


class BadResponseError(Exception):
    """The function names a record that is not in the batch; the whole batch counts as failed."""


def event_of(batch: Iterable[Message], *, source: str, bootstrap: str) -> dict[str, Any]:
    """The MSK event: docs.aws.amazon.com/lambda/latest/dg/with-msk.html."""
    records: dict[str, list[dict[str, Any]]] = {}
    for message in batch:
        place = f"{message.topic()}-{message.partition()}"
        records.setdefault(place, []).append(_record(message))
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": source,
        "bootstrapServers": bootstrap,
        "records": records,
    }


def left_over(batch: Sequence[Any], answer: Mapping[str, Any] | None) -> list[Any]:
    """What is to be tried again: in each partition everything from the first failed record on.

    Raises BadResponseError.
    """
    lowest: dict[str, int] = {}
    for failure in (answer or {}).get("batchItemFailures") or ():
        identifier = failure.get("itemIdentifier")
        if not isinstance(identifier, Mapping):
            raise BadResponseError(json.dumps(failure))
        place, offset = str(identifier.get("partition")), int(identifier.get("offset", -1))
        if not any(_place(m) == place and m.offset() == offset for m in batch):
            raise BadResponseError(json.dumps(failure))
        lowest[place] = min(lowest.get(place, offset), offset)
    return [m for m in batch if _place(m) in lowest and m.offset() >= lowest[_place(m)]]


def size(message: Message) -> int:
    """About what the record takes in the event, bytes."""
    return (len(message.value() or b"") + len(message.key() or b"")) * 4 // 3 + 200


def next_offsets(batch: Iterable[Any]) -> list[TopicPartition]:
    """What to commit when all of the batch is done."""
    ends: dict[tuple[str, int], int] = {}
    for message in batch:
        place = (message.topic(), message.partition())
        ends[place] = max(ends.get(place, 0), message.offset() + 1)
    return [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]


def _place(message: Message) -> str:
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
