"""The company's own topics as senders: a file of the tracking plan describes their records.

A source is a file `tracking_plan/senders/<source>.yaml` with `message` and mappings. The record's
value becomes the body of a request. Its key, its headers and its location become headers of the
request, so that a replay can map the raw body without the topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from desireline.errors import RefusedError
from desireline.plan.tracking_plan import MessagePaths, TrackingPlan
from desireline.receive.mapping.by_paths import report_by_paths
from desireline.receive.request import WebhookRequest
from desireline.receive.senders.sender import WITHHELD, Sender, SenderReport, as_object
from desireline.records import Record

LOCATION = "x-kafka-place"
"""Holds topic, partition, offset and timestamp, separated by spaces. Topic names have no spaces."""

KEY = "x-kafka-key"
HEADER = "x-kafka-header-"
RECORD = "$record"
BATCH_LIMIT = 4_000


class TopicSender(Sender):
    """A source that is a topic. It has no webhook, so `verify` refuses every request."""

    secret = ""

    def __init__(self, paths: MessagePaths) -> None:
        self._paths = paths

    def request(self, record: Record) -> WebhookRequest:
        """Make a request of a record: its value, its location, and the headers in `message`."""
        headers = {
            f"{HEADER}{name}": record.headers[name].decode(errors="replace")
            for name in self._paths.headers
            if name in record.headers
        }
        if self._paths.key and record.key is not None:
            headers[KEY] = record.key.decode(errors="replace")
        location = f"{record.topic} {record.partition} {record.offset} {record.timestamp}"
        return WebhookRequest(self.name, {LOCATION: location, **headers}, record.value or b"")

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        raise RefusedError(404, "unknown_sender", "this source is a topic: produce records to it")

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        raise ValueError(f"{self.name} is a topic. Produce records to it.")

    def parse(self, body: bytes) -> Any:
        if body.startswith(b"\0"):
            raise RefusedError(
                400, "not_json", "produce plain JSON, not Avro or Protobuf with a registry's prefix"
            )
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, "not_json", "the value must be JSON") from error

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        batch = payload if isinstance(payload, list) else [payload]
        if len(batch) > BATCH_LIMIT:
            raise RefusedError(413, "too_many", f"more than {BATCH_LIMIT} events")
        record = _record(request.headers)
        record_id = f"{record['topic']}-{record['partition']}-{record['offset']}"
        for index, message in enumerate(batch):
            fallback = record_id if batch is not payload else f"{record_id}-{index}"
            if message == WITHHELD:
                yield SenderReport(fallback, "", None, WITHHELD, None, ())
            else:
                whole = {**as_object(message), RECORD: record}
                yield report_by_paths(self._paths, whole, fallback_id=fallback)


def topic_senders(plan: TrackingPlan) -> dict[str, TopicSender]:
    """Make the senders of the plan's topics, by source name."""
    return {
        name: _named(name, words.message)
        for name, words in plan.senders.items()
        if words.message is not None and words.scheme is None
    }


def _named(source: str, paths: MessagePaths) -> TopicSender:
    class Named(TopicSender):
        name = source

    return Named(paths)


def _record(headers: Mapping[str, str]) -> dict[str, Any]:
    """Build the object `$record` from a request's headers. Raises RefusedError (400) if the header
    of the location is missing or invalid."""
    try:
        topic, partition, offset, timestamp = headers.get(LOCATION, "").split(" ")
        numbers = {"partition": int(partition), "offset": int(offset), "timestamp": int(timestamp)}
    except ValueError as error:
        raise RefusedError(400, "malformed", f"the header {LOCATION} is invalid") from error
    return {"topic": topic, **numbers, "key": headers.get(KEY), "headers": dict(_headers(headers))}


def _headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.startswith(HEADER):
            yield name.removeprefix(HEADER), value
