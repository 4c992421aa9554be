"""Archive files: a name that a retry repeats, content that loses nothing."""

from __future__ import annotations

import base64
import gzip
import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from desireline.archive import files
from desireline.archive.archive_history import ArchiveHistory
from desireline.errors import UnavailableError
from desireline.records import Record

AT = int(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC).timestamp() * 1000) + 999


def record(
    offset: int, *, partition: int = 0, topic: str = "events.received", **given: Any
) -> Record:
    values: dict[str, Any] = {"timestamp": AT, "key": b"k", "value": b'{"a":1}', **given}
    return Record(topic, partition, offset, **values)


class Bucket:
    """Blobs in memory, which may be down."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.down_after: int | None = None

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if self.down_after is not None and len(self.blobs) >= self.down_after:
            raise UnavailableError("bucket")
        if key in self.blobs:
            return False
        self.blobs[key] = body
        return True


class Counts:
    """Metrics in memory."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def count(self, name: str, value: int = 1, **_: str) -> None:
        self.counted[name] = self.counted.get(name, 0) + value


def parsed(body: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in gzip.decompress(body).splitlines()]


def test_a_name_tells_topic_hour_and_first_record() -> None:
    name = files.name([record(41, partition=3), record(7, partition=12)])
    assert re.fullmatch(
        r"events\.received/v1/2026/03/01/23/00003-0{17}41-[0-9a-f]{16}\.ndjson\.gz", name
    )


def test_a_name_does_not_depend_on_the_order_of_arrival() -> None:
    one, two, three = record(1), record(2), record(1, partition=1)
    assert files.name([one, two, three]) == files.name([three, two, one])


@pytest.mark.parametrize(
    "other",
    [
        [record(1)],
        [record(1), record(3)],
        [record(1), record(2), record(3)],
        [record(1), record(2, partition=1)],
        [record(1, topic="events.resolved"), record(2, topic="events.resolved")],
    ],
)
def test_other_ranges_are_other_files(other: list[Record]) -> None:
    """Bisected batches must not be taken for the whole one."""
    assert files.name(other) != files.name([record(1), record(2)])


def test_partition_and_offset_are_told_apart() -> None:
    """Partition 1, offset 11 and partition 11, offset 1 would run together without a mark."""
    left = files.name([record(0), record(11, partition=1)])
    right = files.name([record(0), record(1, partition=11)])
    assert left != right


def test_names_sort_by_partition_and_offset() -> None:
    names = [files.name([record(offset)]) for offset in (9, 10, 100, 2**62)]
    assert names == sorted(names)


def test_the_hour_is_that_of_the_first_record_by_offset() -> None:
    later = record(2, timestamp=AT + 3_600_000)
    assert "/2026/03/01/23/" in files.name([later, record(1)])


def test_equal_records_give_equal_bytes() -> None:
    records = [record(number) for number in range(20)]
    body = files.lines(records)
    assert body == files.lines(list(records))
    assert body[4:8] == bytes(4), "gzip's header holds the time of day"


def test_a_line_holds_all_of_a_record() -> None:
    value = '{"text":"é\\n","n":[1,2.5,null]}'.encode()
    (line,) = parsed(files.lines([record(5, value=value, headers={"trace-id": b"t"})]))
    assert line == {
        "topic": "events.received",
        "partition": 0,
        "offset": 5,
        "timestamp": AT,
        "key": "k",
        "headers": {"trace-id": "t"},
        "payload": {"text": "é\n", "n": [1, 2.5, None]},
    }


@pytest.mark.parametrize("value", [b"\xff\xfe", b"{", b"", b"NaN", b'{"a":1}{"a":2}'])
def test_bytes_that_are_no_json_are_kept_as_they_are(value: bytes) -> None:
    (line,) = parsed(files.lines([record(1, value=value)]))
    assert base64.b64decode(line["payload"]["unreadable"]) == value


def test_a_tombstone_and_a_missing_key_are_null() -> None:
    (line,) = parsed(files.lines([record(1, value=None, key=None)]))
    assert (line["payload"], line["key"]) == (None, None)


def test_keys_and_headers_that_are_no_text_stop_nothing() -> None:
    (line,) = parsed(files.lines([record(1, key=b"\xff", headers={"h": b"\xfe"})]))
    assert (line["key"], line["headers"]) == ("�", {"h": "�"})


def test_a_batch_becomes_one_file_a_topic() -> None:
    bucket, counts = Bucket(), Counts()
    batch = [record(2), record(9, topic="webhooks.raw"), record(1), record(1, partition=1)]

    keys = ArchiveHistory(blobs=bucket, metrics=counts)(batch)

    assert sorted(key.partition("/")[0] for key in keys) == ["events.received", "webhooks.raw"]
    assert set(keys) == set(bucket.blobs)
    (received,) = [body for key, body in bucket.blobs.items() if key.startswith("events.received")]
    places = [(line["partition"], line["offset"]) for line in parsed(received)]
    assert places == [(0, 1), (0, 2), (1, 1)]
    assert counts.counted == {"records_archived": 4}


def test_a_retry_writes_nothing_new_and_is_counted() -> None:
    """Given a batch of two topics whose second file could not be written, when it comes again."""
    bucket, counts = Bucket(), Counts()
    archive = ArchiveHistory(blobs=bucket, metrics=counts)
    batch = [record(1), record(1, topic="webhooks.raw")]
    bucket.down_after = 1
    with pytest.raises(UnavailableError):
        archive(batch)
    assert counts.counted == {}

    bucket.down_after = None
    archive(batch)

    assert len(bucket.blobs) == 2
    assert counts.counted == {"records_archived": 2, "archive_files_repeated": 1}


def test_an_empty_batch_writes_no_file() -> None:
    bucket = Bucket()
    assert ArchiveHistory(blobs=bucket, metrics=Counts())([]) == []
    assert bucket.blobs == {}
