"""cost.mature.*: write units to count an event of a user who has been there for long.

The company of cost.* is two weeks old, and its time runs thousands of times too fast, so that its
batches hold events of one person that would never meet. Here a user does ten things a day, and the
batches are as production's window makes them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

from bench.units import Units, production_batches
from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer
from desireline.journey.state import DAY
from desireline.resolve.fold import Fold
from desireline.score.features import ACTIONS

AGES, A_DAY = (14, 60, 365), 10
COUNTED_DAYS = 7
"""The last ones of each age: a week has each weekday once."""
START = 20_500 * DAY
FRAGMENT = "3c7a1f0e-5b1d-5a35-9a43-7d1d2d1b5e11"
ACCOUNT = "group:acct_1500116"
TRAITS = {"plan": "trial", "company": "Acme Inc"}
BESIDES = ("logged_in", "session_ended", "page_viewed", "feature_page_viewed")
"""What a user of the product does besides the actions that scoring looks at."""
TARGET = 1.5


def measure(ages: tuple[int, ...] = AGES) -> list[dict[str, Any]]:
    """A row for each age, in days."""
    store = Units()
    fold = Fold(store)
    units: list[int] = []
    events = list(_life(max(ages)))
    for batch in production_batches(events):
        before = store.units
        fold(FRAGMENT, ACCOUNT, batch)
        units += [0] * (len(batch) - 1) + [store.units - before]
    rows = []
    for age in ages:
        last = units[(age - COUNTED_DAYS) * A_DAY : age * A_DAY]
        value = sum(last) / len(last)
        rows.append(
            {
                "name": f"cost.mature.write_units.day{age}",
                "value": value,
                "unit": "units",
                "target": f"≤ {TARGET:g}",
                "met": value <= TARGET,
            }
        )
    return rows


def _life(days: int) -> Iterator[CanonicalEvent]:
    rng = random.Random(1)
    names = [*ACTIONS, *BESIDES]
    for number in range(days * A_DAY):
        at = START + number * DAY // A_DAY
        yield CanonicalEvent(
            event_id=hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(),
            name=rng.choice(names),
            category="product",
            source="segment",
            occurred_at=at,
            received_at=at,
            aliases=(Alias(type=AliasType.USER, value="u", fragment=FRAGMENT),),
            traits=TRAITS if number % A_DAY == 0 else {},
            raw=RawPointer(id="raw"),
        )
