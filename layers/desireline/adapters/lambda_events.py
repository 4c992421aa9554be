"""Convert the events of Lambda's event sources to records and changes, and report failures.

Shapes: docs.aws.amazon.com/lambda/latest/dg/with-msk.html, with-ddb.html, with-sqs.html.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import ValidationError

from desireline.adapters.dynamodb import row_of
from desireline.errors import DesirelineError
from desireline.records import BatchResult, Record
from desireline.rows import Change

Event = Mapping[str, Any]


def kafka_records(event: Event) -> list[Record]:
    """Return the records of an MSK event, by partition, in the order of their offsets."""
    return [
        Record(
            topic=record["topic"],
            partition=record["partition"],
            offset=record["offset"],
            timestamp=record["timestamp"],
            key=_bytes(record.get("key")),
            value=_bytes(record.get("value")),
            headers=_headers(record.get("headers") or ()),
        )
        for records in event["records"].values()
        for record in records
    ]


def kafka_failures(result: BatchResult) -> dict[str, Any]:
    """Return the partial batch response that makes Lambda retry the failed records."""
    return {
        "batchItemFailures": [
            {
                "itemIdentifier": {
                    "partition": f"{record.topic}-{record.partition}",
                    "offset": record.offset,
                }
            }
            for record, _ in result.failed
        ]
    }


def kafka_answer(
    event: Event,
    use_case: Callable[[Sequence[Record]], BatchResult],
    logger: Logger,
    metrics: Metrics,
) -> dict[str, Any]:
    """Call a use case with the records of an MSK event, and return the partial batch response.

    Logs topic, offset and reason of failed and quarantined records. The log never contains a
    record's value, which may be personal data."""
    records = kafka_records(event)
    metrics.add_metric("records", MetricUnit.Count, len(records))
    result = use_case(records)
    for record, reason in result.failed:
        logger.warning("to be tried again", topic=record.topic, offset=record.offset, why=reason)
    for record, reason in result.quarantined:
        logger.error("quarantined", topic=record.topic, offset=record.offset, why=reason)
    return kafka_failures(result)


def stream_changes(event: Event) -> list[Change]:
    """Return the changes of a DynamoDB stream event, in order. Their ids are sequence numbers."""
    return [_change(record) for record in event["Records"]]


def stream_failure(sequence_number: str | None) -> dict[str, Any]:
    """Return the partial batch response that makes Lambda retry a stream from this change on.

    None: no change failed."""
    failed = [] if sequence_number is None else [{"itemIdentifier": sequence_number}]
    return {"batchItemFailures": failed}


def queue_answer(
    event: Event, use_case: Callable[[bytes], str], logger: Logger, metrics: Metrics
) -> dict[str, Any]:
    """Call the use case with each body of an SQS event, and return the partial batch response.

    A message whose body the use case cannot decode or handle stays in the queue. use_case: returns
    a word for the log."""
    metrics.add_metric("messages", MetricUnit.Count, len(event["Records"]))
    failed = []
    for message in event["Records"]:
        try:
            state = use_case(message["body"].encode())
            logger.info("handled", id=message["messageId"], state=state)
        except (DesirelineError, ValidationError) as error:
            logger.warning("left in the queue", id=message["messageId"], why=type(error).__name__)
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def _change(record: Mapping[str, Any]) -> Change:
    images = record["dynamodb"]
    old, new = images.get("OldImage"), images.get("NewImage")
    return Change(
        id=images["SequenceNumber"],
        old=row_of(_decoded(old)) if old else None,
        new=row_of(_decoded(new)) if new else None,
    )


def _decoded(image: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Decode binary attributes, which are base64 text in Lambda's JSON, and bytes in boto3."""
    return {
        name: {"B": base64.b64decode(attribute["B"])} if "B" in attribute else attribute
        for name, attribute in image.items()
    }


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _headers(headers: Iterable[Mapping[str, Iterable[int]]]) -> dict[str, bytes]:
    """Decode header values, which Lambda sends as lists of signed bytes."""
    return {
        name: bytes(byte % 256 for byte in value)
        for header in headers
        for name, value in header.items()
    }
