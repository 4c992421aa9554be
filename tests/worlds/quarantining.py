"""Cases in quarantine: indexed messages, and webhooks that broke the plan."""

from __future__ import annotations

from typing import Any

from desireline.adapters.memory import MemoryStore
from desireline.contracts import Topic
from desireline.events import Quarantined, RawPointer, Stamps
from desireline.records import Record
from desireline.recover.quarantine.cases import Filters
from desireline.recover.quarantine.index_quarantine import DAY, IndexQuarantine
from desireline_local.demo.in_memory import Silent

NOW = 20_500 * DAY + DAY // 2


def quarantined(number: int, **fields: Any) -> Quarantined:
    given_: dict[str, Any] = {
        "id": f"{number:032x}-0",
        "source": "segment",
        "component": "receive",
        "reason": "unmapped",
        "event_name": "Tea Drunk",
        "raw": RawPointer(id=f"{number:032x}"),
        "at": NOW + number,
        "stamps": Stamps(received=NOW + number),
    }
    return Quarantined(**{**given_, **fields})


def record(message: Quarantined, offset: int = 0) -> Record:
    topic = Topic.EVENTS_QUARANTINED
    return Record(topic, 0, offset, NOW, message.source.encode(), message.encode())


def indexed(store: MemoryStore, *messages: Quarantined) -> Any:
    return IndexQuarantine(store=store, metrics=Silent())([record(one) for one in messages])


def make_filters(**fields: Any) -> Filters:
    return Filters(**{"since": NOW - DAY, "until": NOW + DAY, **fields})
