"""archive_history's shell: an MSK event in, files in the bucket out; it fails as a whole."""

from __future__ import annotations

import gzip
from typing import Any, cast

import orjson
import pytest

from archive_history import handler
from desireline.adapters.metrics import EmfMetrics
from desireline.archive.archive_history import ArchiveHistory
from desireline.errors import UnavailableError
from desireline.records import Record
from tests.functional.lambda_side import Context, kafka_event

AT = 1_772_409_599_999


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
    headers = {"trace-id": "té".encode()}
    return kafka_event(
        *(
            Record(topic, at, offset, AT, b"k", value, headers)
            for topic, at, offset, value in records
        )
    )


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
