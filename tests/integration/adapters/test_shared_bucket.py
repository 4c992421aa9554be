"""One bucket in a real table, and environments that run at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from desireline.adapters.clock import WallClock
from desireline.adapters.dynamodb import DynamoStore
from desireline.contracts import Table
from desireline.errors import RefusedError
from desireline.rows import BucketRow
from desireline.throttle import Limit, Throttle

Clients = Callable[..., Any]
LIMIT = Limit(rate=1_000, burst=4_000)
ENVIRONMENTS = 8
WANTED = 2 * LIMIT.burst
BATCH = 20
PATIENCE = 300


class Counts:
    """Metrics of one environment."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.found[name] += value


def test_environments_that_run_at_once_let_through_what_the_limit_says(
    clients: Clients, unique: str
) -> None:
    client = clients("dynamodb")
    client.create_table(
        TableName=unique,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    store = DynamoStore(client, {Table.ADMISSION: unique})
    passed, counts = [0] * ENVIRONMENTS, [Counts() for _ in range(ENVIRONMENTS)]
    # The first makes the row; the others find it.
    Throttle(store, {"segment": LIMIT}, WallClock(), Counts()).take("segment", None, 1)
    began = time.monotonic()

    def run(place: int) -> None:
        throttle = Throttle(store, {"segment": LIMIT}, WallClock(), counts[place])
        # However slow the machine is: until the bucket has been emptied and filled again.
        while sum(passed) < WANTED and time.monotonic() - began < PATIENCE:
            try:
                throttle.take("segment", None, BATCH)
                passed[place] += BATCH
            except RefusedError:
                time.sleep(0.02)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(ENVIRONMENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    lent = sum(one.found["throttle_contended"] for one in counts) * BATCH
    assert not any(one.found["throttle_unavailable"] for one in counts)
    row = store.get(BucketRow.ref_to("segment"))

    assert row is not None
    assert sum(passed) <= LIMIT.burst + LIMIT.rate * took + lent + BATCH
    assert sum(passed) >= WANTED, "and it is filled again"
    assert lent <= LIMIT.burst, "environments find their turn"
