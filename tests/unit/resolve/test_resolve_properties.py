"""Whatever events there are, in whatever order, batches and repetitions, by copies that hear no
answer: against an oracle that joins sets and folds a list."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desireline.adapters.memory import MemoryStore
from desireline.events import CanonicalEvent
from desireline.journey.state import EMPTY, fold
from desireline.rows import StateRow
from tests.worlds.event_streams import DAY, START, event, record
from tests.worlds.resolving import (
    Interrupted,
    live_persons,
    lost,
    resolver,
    root_of,
    subject_of_rows,
    users_of,
    view_of,
)

ALIASES = (
    "user:1", "user:2", "billing:1", "email:1@x.test", "email:2@x.test",
    "anonymous:1", "anonymous:2", "anonymous:3",
)  # fmt: skip
ACCOUNTS = ("owner=group:g", "mention=group:g", "owner=cus:c", "member=group:h", "owner=group:h")
SAME_COMPANY = ("owner=group:g", "mention=group:g", "owner=cus:c")


@st.composite
def histories(draw: st.DrawFn, *, peaceful: bool) -> list[CanonicalEvent]:
    """Events on few aliases. peaceful: one user, one company, so no order can matter."""
    names = ALIASES[:1] + ALIASES[2:] if peaceful else ALIASES
    accounts = SAME_COMPANY if peaceful else ACCOUNTS
    shapes = st.tuples(
        st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True),
        st.lists(st.sampled_from(accounts), max_size=2, unique_by=lambda one: one.split("=")[1]),
        st.integers(0, 20),
    )
    return [
        event(
            f"e{i}",
            *aliases,
            accounts=owned,
            occurred_at=START + day * DAY + i,
            received_at=START + day * DAY + i,
        )
        for i, (aliases, owned, day) in enumerate(draw(st.lists(shapes, max_size=9)))
    ]


def deliver(data: st.DataObject, events: list[CanonicalEvent]) -> MemoryStore:
    """In any order and split, some twice, to two copies; some of their calls get no answer."""
    store = MemoryStore()
    gates = [Interrupted(store), Interrupted(store)]
    copies = [resolver(gate, hot_days=3, hot_ids=4) for gate in gates]
    twice = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    queue = data.draw(st.permutations([*events, *twice]))
    while queue:
        size = data.draw(st.integers(1, 4))
        batch, queue = queue[:size], queue[size:]
        which = data.draw(st.integers(0, 1))
        gates[which].interrupt(
            data.draw(st.integers(-1, 12)), lost, afterwards=data.draw(st.booleans())
        )
        result = copies[which]([record(one, i) for i, one in enumerate(batch)])
        queue = [*queue, *(batch[r.offset] for r, _ in result.failed)]
    return store


def components(events: list[CanonicalEvent]) -> set[frozenset[str]]:
    groups: list[set[str]] = []
    for one in events:
        mine = {a.fragment for a in one.aliases}
        joined = [group for group in groups if group & mine]
        groups = [group for group in groups if not group & mine]
        groups.append(mine.union(*joined))
    return {frozenset(group) for group in groups}


def persons(store: MemoryStore, events: list[CanonicalEvent]) -> set[frozenset[str]]:
    groups = defaultdict(set)
    for one in events:
        for name in one.aliases:
            groups[root_of(store, f"{name.type}:{name.value}").fragment].add(name.fragment)
    return {frozenset(group) for group in groups.values()}


def counted_once(store: MemoryStore, events: list[CanonicalEvent]) -> None:
    wanted = defaultdict(list)
    for one in events:
        wanted[one.fragment, one.account_key].append(one)
    rows = {
        (row.fragment, row.account): row.state
        for row in store.rows.values()
        if isinstance(row, StateRow)
    }
    assert rows == {place: fold(EMPTY, group) for place, group in wanted.items()}


TRIES = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@TRIES
@given(st.data(), histories(peaceful=True))
def test_persons_and_states_are_a_function_of_the_set_of_events(
    data: st.DataObject, events: list[CanonicalEvent]
) -> None:
    store = deliver(data, events)

    counted_once(store, events)
    assert persons(store, events) == components(events)
    subject_of_rows(store)
    oracle = MemoryStore()
    resolver(oracle)([record(one) for one in events])
    for one in events:
        names = [f"{a.type}:{a.value}" for a in one.aliases] + [a.key for a in one.accounts]
        for name in names:
            mine, theirs = view_of(store, name), view_of(oracle, name)
            assert mine.state == theirs.state
            assert mine.fragments == theirs.fragments
            assert mine.root.accounts == theirs.root.accounts


@TRIES
@given(st.data(), histories(peaceful=False))
def test_where_ids_conflict_each_event_counts_once_and_nothing_merges_that_must_not(
    data: st.DataObject, events: list[CanonicalEvent]
) -> None:
    store = deliver(data, events)

    counted_once(store, events)
    allowed = components(events)
    for group in persons(store, events):
        assert any(group <= component for component in allowed)
    for person in live_persons(store):
        assert len(users_of(person)) <= 1
    for account in {account.key for one in events for account in one.accounts}:
        groups = [a for a in view_of(store, account).root.accounts if a.startswith("group:")]
        assert len(groups) <= 1
    subject_of_rows(store)
