"""index_quarantine's shell: an MSK event in, rows, a partial batch response out."""

from __future__ import annotations

from typing import Any, cast

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.records import Record
from desireline.recover.quarantine.cases import Cases
from desireline.recover.quarantine.index_quarantine import IndexQuarantine
from desireline_local.demo.in_memory import Silent
from index_quarantine import handler
from tests.functional.lambda_side import Context, kafka_event
from tests.worlds.quarantining import NOW, make_filters, quarantined


class Broken(MemoryStore):
    def write(self, *writes: Any) -> None:
        raise UnavailableError("no answer")


def handled(store: MemoryStore, *values: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    use_case = IndexQuarantine(store=store, metrics=Silent())
    monkeypatch.setattr(handler, "use_case", lambda: use_case)
    topic = Topic.EVENTS_QUARANTINED
    records = (Record(topic, 1, n, NOW, b"segment", value) for n, value in enumerate(values))
    event = kafka_event(*records)
    return handler.handle(event, cast(Any, Context()))


def test_a_batch_is_indexed(monkeypatch):
    store = MemoryStore()
    values = (quarantined(1).encode(), quarantined(2).encode(), b"{}")

    answer = handled(store, *values, monkeypatch=monkeypatch)

    assert answer == {"batchItemFailures": []}
    assert [one.total for one in Cases(store).groups(make_filters())] == [2]


def test_what_cannot_be_written_is_named_to_come_again(monkeypatch):
    answer = handled(Broken(), quarantined(1).encode(), monkeypatch=monkeypatch)
    assert answer["batchItemFailures"] == [
        {"itemIdentifier": {"partition": f"{Topic.EVENTS_QUARANTINED}-1", "offset": 0}}
    ]
