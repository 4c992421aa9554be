"""archive_history's shell: an MSK event in, files in the bucket out; it fails as a whole."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import Any, cast

import orjson
import pytest

from archive_history import handler
from desireline.adapters.metrics import EmfMetrics
from desireline.archive.use_case import ArchiveHistory
from desireline.errors import UnavailableError

AT = 1_772_409_599_999


@dataclass
class Context:
    function_name: str = "archive_history"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:archive"
    aws_request_id: str = "request"


class Bucket:
    """Blobs in memory, which may be down."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.down = False

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if self.down:
            raise UnavailableError("bucket")
        return self.blobs.setdefault(key, body) is body


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = Bucket()
    archive = ArchiveHistory(blobs=bucket, metrics=EmfMetrics(handler.metrics))
    monkeypatch.setattr(handler, "use_case", lambda: archive)
    return bucket


def msk(*records: tuple[str, int, int, bytes | None]) -> dict[str, Any]:
    """An event of (topic, partition, offset, value)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for topic, partition, offset, value in records:
        record: dict[str, Any] = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "timestamp": AT,
            "key": base64.b64encode(b"k").decode(),
            "headers": [{"trace-id": [116, -61, -87]}],
        }
        if value is not None:
            record["value"] = base64.b64encode(value).decode()
        found.setdefault(f"{topic}-{partition}", []).append(record)
    return {"eventSource": "aws:kafka", "records": found}


def invoke(event: dict[str, Any]) -> Any:
    return handler.handle(event, cast("Any", Context()))


def test_every_record_of_the_event_is_in_a_file(bucket: Bucket) -> None:
    event = msk(
        ("events.received", 0, 5, b'{"n":1}'),
        ("events.received", 3, 9, b"no json"),
        ("events.received", 3, 10, None),
        ("webhooks.raw", 0, 1, b'{"n":2}'),
    )

    assert invoke(event) is None

    lines = {
        (line["topic"], line["partition"], line["offset"]): line
        for body in bucket.blobs.values()
        for line in map(orjson.loads, gzip.decompress(body).splitlines())
    }
    assert len(lines) == 4
    assert lines["events.received", 0, 5]["payload"] == {"n": 1}
    assert lines["events.received", 0, 5]["headers"] == {"trace-id": "té"}
    assert lines["events.received", 3, 9]["payload"] == {"unreadable": "bm8ganNvbg=="}
    assert lines["events.received", 3, 10]["payload"] is None
    assert lines["webhooks.raw", 0, 1]["timestamp"] == AT


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_bucket_that_is_down_fails_the_whole_batch(bucket: Bucket) -> None:
    bucket.down = True
    with pytest.raises(UnavailableError):
        invoke(msk(("events.received", 0, 5, b"{}")))
    bucket.down = False
    invoke(msk(("events.received", 0, 5, b"{}")))
    assert len(bucket.blobs) == 1


def test_an_event_without_records_does_nothing(bucket: Bucket) -> None:
    invoke({"records": {}})
    assert bucket.blobs == {}
