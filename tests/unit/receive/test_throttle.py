"""One bucket for all environments: never more than it holds, and no call for what was taken."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from pydantic import ValidationError

from desireline.adapters.memory import MemoryStore
from desireline.contracts import EVENTS_LIMIT
from desireline.errors import ConflictError, RefusedError, UnavailableError
from desireline.rows import BucketRow
from desireline.throttle import LEASE_MS, LONGEST_WAIT, Limit, Throttle

LIMIT = Limit(rate=1_000, burst=5_000)


class Scene:
    """A store, a clock, and as many environments as one asks for."""

    def __init__(self, store: MemoryStore | None = None, **limits: Limit) -> None:
        self.store = store or MemoryStore()
        self.limits = {name.replace("_", "/"): limit for name, limit in limits.items()}
        self.at = 1_000_000
        self.counts: Counter[str] = Counter()

    def now(self) -> int:
        return self.at

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.counts[name] += value

    def environment(self) -> Throttle:
        return Throttle(self.store, self.limits, self, self)


def passes(throttle: Throttle, events: int = 1, key: str | None = None) -> bool:
    try:
        throttle.take("segment", key, events)
    except RefusedError as error:
        assert error.status == 429
        assert 1 <= (error.retry_after or 0) <= LONGEST_WAIT
        return False
    return True


@pytest.mark.parametrize("environments", [1, 7, 40])
def test_all_environments_together_let_through_what_the_limit_says(environments: int) -> None:
    """Given ten times the rate for a minute, in turn through all environments,
    then no more passes than burst and rate allow, and not much less."""
    scene = Scene(segment=LIMIT)
    throttles = [scene.environment() for _ in range(environments)]
    seconds, passed, offered = 60, 0, 0
    for step in range(seconds * 10):
        scene.at += 100
        for turn in range(100):
            offered += 10
            passed += 10 * passes(throttles[(step * 100 + turn) % environments], 10)
    allowed = LIMIT.burst + LIMIT.rate * seconds

    assert offered > 8 * allowed
    assert passed <= allowed + 10
    assert passed > 0.85 * allowed


@pytest.mark.parametrize("environments", [1, 7])
def test_batches_come_through_among_single_events(environments: int) -> None:
    """Given ten times the rate for a minute, half of it in batches, one for 500 single events,
    then as many events pass in batches as singly, and no more in all than the limit says."""
    scene = Scene(segment=LIMIT)
    throttles = [scene.environment() for _ in range(environments)]
    chance = random.Random(7)
    seconds, batch, passed = 60, 500, Counter[int]()
    for _ in range(seconds * 1_000):
        scene.at += 1
        for _ in range(5):
            events = batch if chance.random() < 1 / batch else 1
            passed[events] += events * passes(chance.choice(throttles), events)
    allowed = LIMIT.burst + LIMIT.rate * seconds

    assert passed.total() <= allowed + batch
    assert passed.total() > 0.85 * allowed
    assert 0.5 < passed[batch] / passed[1] < 2


def test_little_traffic_over_many_environments_is_never_refused() -> None:
    scene = Scene(segment=LIMIT)
    throttles = [scene.environment() for _ in range(50)]
    for step in range(3_000):
        scene.at += 20
        assert passes(throttles[step * 7 % 50], 4)


def test_the_hot_path_costs_no_call() -> None:
    scene = Scene(segment=LIMIT)
    throttle = scene.environment()
    for _ in range(3_000):
        scene.at += 5
        assert passes(throttle)

    assert scene.store.reads + scene.store.writes < 60


def test_without_a_limit_nothing_is_counted() -> None:
    scene = Scene(other=LIMIT)
    assert all(passes(scene.environment(), 4_000) for _ in range(100))
    assert not scene.store.rows


def test_a_star_is_for_senders_without_a_limit_and_each_has_its_own_bucket() -> None:
    scene = Scene()
    scene.limits = {"*": LIMIT}
    throttle = scene.environment()
    throttle.take("segment", None, 5_000)

    assert not passes(throttle, 1_000)
    throttle.take("stripe", None, 5_000)


def test_a_key_has_a_bucket_besides_its_senders() -> None:
    scene = Scene(segment_site=Limit(rate=1, burst=EVENTS_LIMIT), segment=LIMIT)
    throttle = scene.environment()

    assert passes(throttle, EVENTS_LIMIT, "site")
    assert not passes(throttle, 1, "site")
    assert passes(throttle, 500, "backend"), "another key of that sender still sends"


@pytest.mark.parametrize("first", [5_000, 9_000])
def test_a_batch_that_was_refused_passes_when_it_was_told_to_come_again(first: int) -> None:
    scene = Scene(segment=LIMIT)
    throttle = scene.environment()
    assert passes(throttle, first)
    with pytest.raises(RefusedError) as refused:
        throttle.take("segment", None, 4_000)
    scene.at += 1_000 * (refused.value.retry_after or 0)

    assert passes(throttle, 4_000)


def test_what_was_taken_beyond_the_bucket_is_owed() -> None:
    scene = Scene(segment=LIMIT)
    assert passes(scene.environment(), 9_000)
    scene.at += 4_000
    assert not passes(scene.environment())
    scene.at += 1

    assert passes(scene.environment())


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    scene = Scene(segment=LIMIT)
    throttle = scene.environment()
    assert passes(throttle, 1)
    scene.at += 3_600_000

    assert passes(throttle, 5_000)
    assert not passes(throttle, 1_000)


def test_a_limit_takes_the_largest_batch() -> None:
    with pytest.raises(ValidationError, match="largest batch"):
        Limit(rate=10, burst=EVENTS_LIMIT - 1)


def test_a_refused_sender_is_not_asked_about_again_at_once() -> None:
    scene = Scene(segment=LIMIT)
    throttle = scene.environment()
    assert passes(throttle, 5_000)
    before = scene.store.reads
    for _ in range(500):
        passes(throttle, 2_000)

    assert scene.store.reads - before <= 1


class Broken(MemoryStore):
    """Every call fails in the given way."""

    error: Exception = UnavailableError("no table")

    def get(self, ref):  # type: ignore[no-untyped-def]
        self.reads += 1
        raise self.error


def test_who_always_comes_second_passes_and_that_is_counted_and_lends_nothing_more() -> None:
    store = Broken()
    store.error = ConflictError("another")
    scene = Scene(store, segment=LIMIT)
    throttle = scene.environment()
    assert all(passes(throttle, 100) for _ in range(20))
    assert scene.counts["throttle_contended"] == 20

    throttle._store = scene.store = MemoryStore()
    assert passes(throttle, 5_000), "a full bucket"
    assert not passes(throttle, 100), "and nothing beyond it was put back"


def test_without_its_bucket_everything_passes_and_that_is_counted() -> None:
    store = Broken()
    scene = Scene(store, segment=LIMIT)
    throttle = scene.environment()

    assert all(passes(throttle, 100) for _ in range(200))
    assert scene.counts["throttle_unavailable"] >= 1
    assert store.reads < 60, "what does not answer is not asked for every request"


def test_tokens_that_were_never_taken_are_never_put_back() -> None:
    """Given a bucket that cannot be reached for a while, then what passed meanwhile was lent; it
    does not fill the bucket once it is back."""
    scene = Scene(segment=LIMIT)
    throttle = scene.environment()
    assert passes(throttle, 4_990)
    works, throttle._store = throttle._store, Broken()
    scene.at += LEASE_MS
    assert passes(throttle, 1)
    throttle._store = works
    row = scene.store.get(BucketRow.ref_to("segment"))
    assert row is not None
    scene.store.rows[("admission", "T#segment", "-")] = row.but(
        tokens=0, filled_at=scene.at + 2_000
    )
    scene.at += 2_000

    assert not passes(throttle, 400)
