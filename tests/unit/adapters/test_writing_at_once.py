"""Independent writes go out at once, and have all ended when `write_each` returns."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from desireline.adapters.dynamodb import WRITERS, DynamoStore
from desireline.contracts import Table
from desireline.errors import ConflictError, UnavailableError
from desireline.records import Outgoing
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import AliasRow, Put
from tests.worlds.event_streams import event, record

TABLES = {table: table.value for table in Table}


class SlowDynamo:
    """A client of DynamoDB that holds nothing and takes its time to write.

    refused: the code of the error that each write of this partition key gets, at once.
    """

    def __init__(self, seconds: float = 0.02, refused: dict[str, str] | None = None) -> None:
        self._seconds = seconds
        self._refused = refused or {}
        self._lock = threading.Lock()
        self.writing = self.most_writing = self.ended = 0

    def put_item(self, *, Item: Any, **_: Any) -> None:  # noqa: N803
        code = self._refused.get(Item["pk"]["S"])
        with self._lock:
            self.writing += 1
            self.most_writing = max(self.most_writing, self.writing)
        time.sleep(0 if code else self._seconds)
        with self._lock:
            self.writing -= 1
            self.ended += 1
        if code == "bug":
            raise KeyError(code)
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {}

    def batch_get_item(self, **_: Any) -> dict[str, Any]:
        return {"Responses": {}}


def aliases(number: int) -> list[AliasRow]:
    return [AliasRow(type="email", fragment=f"f{i}", root="r") for i in range(number)]


def test_eight_writes_are_under_way_at_once() -> None:
    client = SlowDynamo()
    store = DynamoStore(client, TABLES)  # type: ignore[arg-type]

    assert store.write_each([[Put(row)] for row in aliases(32)]) == [None] * 32

    assert client.most_writing == WRITERS
    assert store.writes == 32


def test_each_write_fails_alone_and_in_its_place() -> None:
    rows = aliases(10)
    codes = {
        rows[3].pk: "ConditionalCheckFailedException",
        rows[7].pk: "InternalServerError",
    }
    client = SlowDynamo(refused=codes)
    store = DynamoStore(client, TABLES)  # type: ignore[arg-type]

    failures = store.write_each([[Put(row)] for row in rows])

    assert isinstance(failures[3], ConflictError)
    assert [n for n, failure in enumerate(failures) if failure] == [3, 7]
    assert (client.writing, client.ended) == (0, 10)


def test_an_error_of_our_own_is_raised_when_all_have_ended() -> None:
    rows = aliases(10)
    client = SlowDynamo(refused={rows[0].pk: "bug"})
    store = DynamoStore(client, TABLES)  # type: ignore[arg-type]

    with pytest.raises(KeyError):
        store.write_each([[Put(row)] for row in rows])

    assert (client.writing, client.ended) == (0, 10)


@pytest.mark.parametrize("refused", [False, True])
def test_no_flush_and_no_event_precedes_the_end_of_a_put(refused: bool) -> None:
    """Delivery rules 2 and 3: what is passed on has been counted, even where a put fails early."""
    records = [record(event(i, f"anonymous:a{i}"), i) for i in range(20)]
    codes = {f"S#1#{records[0].key.decode()}": "InternalServerError"} if refused else {}  # type: ignore[union-attr]
    client = SlowDynamo(refused=codes)
    flushed_after: list[int] = []

    class Watching:
        def produce(self, record: Outgoing) -> None:
            assert (client.writing, client.ended) == (0, 20)

        def flush(self, timeout: float) -> None:
            flushed_after.append(client.ended - client.writing)

        def now(self) -> int:
            return 0

        def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...

    around = Watching()
    resolve = ResolveIdentity(
        store=DynamoStore(client, TABLES),  # type: ignore[arg-type]
        producer=around,
        clock=around,
        wall=around,
        metrics=around,
    )

    result = resolve(records)

    assert flushed_after == [20]
    assert [(one.offset, why) for one, why in result.failed] == (
        [(0, UnavailableError.__name__)] if refused else []
    )
    assert len(result.done) == 20 - refused
