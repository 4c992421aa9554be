"""What Lambda hands a function: its context, and what Kafka's mapping brings."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from desireline.records import Record


@dataclass(frozen=True, slots=True)
class Context:
    """remaining: milliseconds until Lambda ends the function."""

    remaining: int = 14_500
    function_name: str = "a_function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:a_function"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


def kafka_event(*records: Record, source: str = "aws:kafka") -> dict[str, Any]:
    """These records as the mapping of Kafka hands them over: bytes of headers are signed, and a
    record without a value has none."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        handed: dict[str, Any] = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "timestampType": "CREATE_TIME",
            "headers": [{name: [*map(_signed, value)]} for name, value in record.headers.items()],
        }
        for name, value in (("key", record.key), ("value", record.value)):
            if value is not None:
                handed[name] = base64.b64encode(value).decode()
        found[f"{record.topic}-{record.partition}"].append(handed)
    return {"eventSource": source, "records": dict(found)}


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
