"""Any order, any split, any repetition: the same persons, the same states, every event once."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from desireline.identity.view import read_subject
from desireline.journey.state import EMPTY, JourneyState, fold
from desireline.resolve.fold import Fold
from desireline.resolve.link import Link
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import AccountRow, PersonRow, StateRow
from tests.worlds.event_streams import household, record


class Quiet:
    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...
    def now(self) -> int:
        return 0

    def produce(self, record: object) -> None: ...
    def flush(self, timeout: float) -> None: ...


def use_case(store: MemoryStore) -> ResolveIdentity:
    quiet = Quiet()
    return ResolveIdentity(
        store=store, producer=quiet, clock=quiet, wall=quiet, metrics=quiet,
        link=Link(store, quiet), fold=Fold(store, hot_days=3, hot_ids=6),
    )  # fmt: skip


def resolve(events: list[CanonicalEvent], rng: random.Random, *, repeats: float) -> MemoryStore:
    """Deliver in random order and batches to two copies, some events again."""
    store = MemoryStore()
    copies = [use_case(store), use_case(store)]
    deliveries = [e for e in events for _ in range(1 + (rng.random() < repeats))]
    rng.shuffle(deliveries)
    while deliveries:
        size = rng.randint(1, 7)
        batch, deliveries = deliveries[:size], deliveries[size:]
        result = rng.choice(copies)([record(e, i) for i, e in enumerate(batch)])
        assert not result.failed
        assert not result.quarantined
    return store


def persons_of(store: MemoryStore, events: list[CanonicalEvent]) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for fragment in {a.fragment for e in events for a in e.aliases}:
        root = fragment
        while (row := store.get(PersonRow.ref_to(root))) and row.merged_into:
            root = row.merged_into
        groups[root].add(fragment)
    return {frozenset(group) for group in groups.values()}


def components(events: list[CanonicalEvent]) -> set[frozenset[str]]:
    parent: dict[str, str] = {}

    def find(one: str) -> str:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for e in events:
        for a in e.aliases:
            parent[find(a.fragment)] = find(e.aliases[0].fragment)
    groups: dict[str, set[str]] = defaultdict(set)
    for one in parent:
        groups[find(one)].add(one)
    return {frozenset(group) for group in groups.values()}


def subject_states(store: MemoryStore, events: list[CanonicalEvent]) -> dict[str, JourneyState]:
    """By account, and by smallest fragment for persons without one."""
    found = {}
    for e in events:
        root = e.fragment
        while (row := store.get(PersonRow.ref_to(root))) and row.merged_into:
            root = row.merged_into
        row = store.get(PersonRow.ref_to(root))
        view = read_subject(store, row.subject if row else root)
        key = view.root.accounts[0] if view.root.accounts else min(view.fragments)
        found[key] = view.state
        for account in {a.key for a in e.accounts}:
            owner = store.get(AccountRow.ref_to(account))
            assert owner is not None
            view = read_subject(store, owner.subject)
            found[min(view.root.accounts)] = view.state
    return found


@pytest.mark.parametrize("seed", range(60))
def test_any_order_gives_the_same_persons_states_and_subjects(seed: int) -> None:
    rng = random.Random(seed)
    events = household(rng)
    expected = components(events)
    states = []
    for _ in range(4):
        store = resolve(events, rng, repeats=0.4)

        assert persons_of(store, events) == expected
        counted = defaultdict(list)
        for e in events:
            counted[e.fragment, e.account_key].append(e)
        for (fragment, account), group in counted.items():
            row = store.get(StateRow.ref_to(fragment, account))
            assert row is not None
            assert row.state == fold(EMPTY, group)
        states.append(subject_states(store, events))

    assert all(one == states[0] for one in states)
