"""Topics of the company's own as senders: where things are in their records is data.

A source is a file `tracking_plan/senders/<source>.yaml` with `message`, besides its mappings. The
record's value is the body; what the mapping needs of the record besides travels in headers, so
that a raw body can be mapped again without the topic.
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

PLACE = "x-kafka-place"
"""Topic, partition, offset and timestamp, separated by spaces, which no topic's name holds."""

KEY = "x-kafka-key"
HEADER = "x-kafka-header-"
RECORD = "$record"
BATCH_LIMIT = 4_000


class TopicSender(Sender):
    """A source. As a webhook it does not exist."""

    secret = ""

    def __init__(self, paths: MessagePaths) -> None:
        self._paths = paths

    def request(self, record: Record) -> WebhookRequest:
        """A record as a request: its value, and what the places ask for besides."""
        kept = {
            f"{HEADER}{name}": record.headers[name].decode(errors="replace")
            for name in self._paths.headers
            if name in record.headers
        }
        if self._paths.key and record.key is not None:
            kept[KEY] = record.key.decode(errors="replace")
        place = f"{record.topic} {record.partition} {record.offset} {record.timestamp}"
        return WebhookRequest(self.name, {PLACE: place, **kept}, record.value or b"")

    def verify(
        self, request: WebhookRequest, body: bytes, secrets: Sequence[bytes], now: int
    ) -> None:
        raise RefusedError(404, "unknown_sender", "no such webhook")

    def sign(self, request: WebhookRequest, secret: bytes, now: int) -> dict[str, str]:
        raise ValueError(f"{self.name} is a topic: produce to it")

    def parse(self, body: bytes) -> Any:
        if body.startswith(b"\0"):
            raise RefusedError(400, "not_json", "begins as Avro or Protobuf with a registry does")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, "not_json", "the value is not JSON") from error

    def messages(self, payload: Any, request: WebhookRequest) -> Iterable[SenderReport]:
        batch = payload if isinstance(payload, list) else [payload]
        if len(batch) > BATCH_LIMIT:
            raise RefusedError(413, "too_many", f"more than {BATCH_LIMIT} events")
        record = _record(request.headers)
        where = f"{record['topic']}-{record['partition']}-{record['offset']}"
        for index, message in enumerate(batch):
            fallback = where if batch is not payload else f"{where}-{index}"
            if message == WITHHELD:
                yield SenderReport(fallback, "", None, WITHHELD, None, ())
            else:
                whole = {**as_object(message), RECORD: record}
                yield report_by_paths(self._paths, whole, fallback_id=fallback)


def topic_senders(plan: TrackingPlan) -> dict[str, TopicSender]:
    """The sources of the plan that are topics, by name."""
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
    """What stands under `$record`. Raises RefusedError for a body that came from no topic."""
    try:
        topic, partition, offset, timestamp = headers.get(PLACE, "").split(" ")
        numbers = {"partition": int(partition), "offset": int(offset), "timestamp": int(timestamp)}
    except ValueError as error:
        raise RefusedError(400, "malformed", "without its place in a topic") from error
    return {"topic": topic, **numbers, "key": headers.get(KEY), "headers": dict(_headers(headers))}


def _headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.startswith(HEADER):
            yield name.removeprefix(HEADER), value
