"""resolve.*: linking and counting the simulator's stream, in memory and on local DynamoDB.

The limit beside the items written is what no design can go below: one item for each event that
brings something new, two aliases or an account that were not seen together before. Ours writes
more, because no decision may be seen in part (delivery rule 5): a merge writes winner and
tombstone, a first account two rows, a merge of accounts three. That makes 0.137 at least.

What counting writes is of a company of two months in batches as production's window makes them.
The other figures are of a month in batches of 100.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from bench.units import Units, production_batches
from desireline.adapters.dynamodb import DynamoStore
from desireline.adapters.memory import MemoryStore
from desireline.contracts import Table
from desireline.events import CanonicalEvent
from desireline.ports import BatchStore
from desireline.records import Outgoing, Record
from desireline.resolve.fold import Fold
from desireline.resolve.link import Link
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline_learning.simulator.canonical import arrivals, canonical
from desireline_learning.simulator.company import Company
from desireline_learning.simulator.scenario import Scenario
from desireline_local.aws.cloud import LocalAws

BATCH = 100
TRIALS = 150
DAYS = 30
MATURE_TRIALS, MATURE_DAYS = 40, 60


class Nowhere:
    """Producer, clock and metrics that cost nothing."""

    def produce(self, record: Outgoing) -> None: ...
    def flush(self, timeout: float) -> None: ...
    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...
    def now(self) -> int:
        return 0


def stream() -> list[Record]:
    """The simulator's events as records, by time."""
    return [
        Record("events.received", 0, offset, 0, event.fragment.encode(), event.encode())
        for offset, event in enumerate(_company(TRIALS, DAYS, canonical))
    ]


def _company(
    trials: int, days: int, order: Callable[[Company], Iterable[Any]]
) -> list[CanonicalEvent]:
    return [event for event, _ in order(Company(Scenario(trials=trials, days=days, seed=11)))]


def measure() -> list[dict[str, Any]]:
    """Rates, and what linking and counting read and write for an event."""
    records = stream()
    rate, _ = _rate(MemoryStore(), records)
    counts = _counts(records)
    folds = _folds(_company(MATURE_TRIALS, MATURE_DAYS, arrivals))
    with tempfile.TemporaryDirectory() as folder, LocalAws(Path(folder)) as aws:
        store = DynamoStore(aws.client("dynamodb"), _tables(aws))
        dynamodb_rate, _ = _rate(store, records[:4000])
    return [
        _row("rate_memory", rate, "1/s", "≥ 3,000", rate >= 3000),
        _row("rate_dynamodb", dynamodb_rate, "1/s", None, None),
        _row("identity_reads_per_event", counts["reads"], "items", "≤ 0.25", None),
        {
            **_row("identity_writes_per_event", counts["writes"], "items", "≤ 0.15", None),
            "peer": "one item for each event with something new",
            "peer_value": _news(records) / len(records),
        },
        _row("link_writes_per_event", counts["links"], "write units", None, None),
        _row("fold_writes_per_event", folds, "write units", "≤ 2", None),
    ]


def _row(
    name: str, value: float, unit: str, target: str | None, met: bool | None
) -> dict[str, Any]:
    limit = float(target.split()[1].replace(",", "")) if target else None
    if met is None and limit is not None:
        met = value <= limit
    return {"name": f"resolve.{name}", "value": value, "unit": unit, "target": target, "met": met}


def _rate(store: BatchStore, records: list[Record]) -> tuple[float, float]:
    nowhere = Nowhere()
    resolve = ResolveIdentity(
        store=store, producer=nowhere, clock=nowhere, wall=nowhere, metrics=nowhere
    )
    began = time.process_time(), time.perf_counter()
    for batch in _batches(records):
        result = resolve(batch)
        assert not result.failed
    return len(records) / (time.perf_counter() - began[1]), time.process_time() - began[0]


def _counts(records: list[Record]) -> dict[str, float]:
    """Items of identity read and written, and write units to link, for an event."""
    identity = Units()
    nowhere = Nowhere()
    resolve = ResolveIdentity(
        store=identity,
        producer=nowhere,
        clock=nowhere,
        wall=nowhere,
        metrics=nowhere,
        link=Link(identity, nowhere),
        fold=Fold(MemoryStore()),
    )
    for batch in _batches(records):
        resolve(batch)
    n = len(records)
    return {
        "reads": identity.reads / n,
        "writes": identity.writes / n,
        "links": identity.units / n,
    }


def _folds(events: list[CanonicalEvent]) -> float:
    """Write units to count an event. Of each fragment and account the events of a window meet."""
    states = Units()
    fold = Fold(states)
    rows: dict[tuple[str, str], list[CanonicalEvent]] = defaultdict(list)
    for event in events:
        rows[event.fragment, event.account_key].append(event)
    for name, mine in rows.items():
        for batch in production_batches(mine):
            fold(*name, batch)
    return states.units / len(events)


def _news(records: list[Record]) -> int:
    """How many events say something about who belongs to whom that none has said before."""
    seen: set[tuple[str, ...]] = set()
    events = 0
    for record in records:
        event = CanonicalEvent.decode(record.value or b"")
        said = {
            *combinations(sorted(alias.fragment for alias in event.aliases), 2),
            *((event.fragment, account.key) for account in event.accounts),
            *((account.key, account.role) for account in event.accounts),
        }
        events += not said <= seen
        seen |= said
    return events


def _batches(records: list[Record]) -> Iterator[list[Record]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]


def _tables(aws: LocalAws) -> dict[Table, str]:
    client = aws.client("dynamodb")
    for table in (Table.IDENTITY, Table.STATES):
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
    return {table: table.value for table in (Table.IDENTITY, Table.STATES)}
