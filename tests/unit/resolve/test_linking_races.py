"""Two copies of resolve at work on the same aliases: one is stopped at each of its calls in turn,
the other does all of its work there. And copies that die, or hear nothing, at each call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import ConflictError
from desireline.events import CanonicalEvent
from desireline.rows import AccountRow, AliasRow, Check, Put, SubjectRow
from tests.worlds.event_streams import alias, event, record
from tests.worlds.resolving import (
    Interrupted,
    Told,
    announced,
    link,
    linker,
    live_persons,
    lost,
    resolve,
    resolver,
    root_of,
    subject_of_rows,
    together,
    users_of,
    view_of,
)

MOST_CALLS = 60

SIGNUP = {"name": "trial_signup", "accounts": ("owner=group:g",)}

RACES: dict[str, tuple[list[CanonicalEvent], list[CanonicalEvent], list[CanonicalEvent]]] = {
    # name: what happened before, what one copy does, what the other does meanwhile
    "two users take one device": (
        [event("v", "anonymous:a")],
        [event(1, "user:u1", "anonymous:a")],
        [event(2, "user:u2", "anonymous:a")],
    ),
    "a chain is joined at both ends": (
        [],
        [event(1, "anonymous:a", "anonymous:b"), event(2, "anonymous:c", "anonymous:d")],
        [event(3, "anonymous:b", "anonymous:c"), event(4, "user:u1", "anonymous:d")],
    ),
    "an account adopts who merges": (
        [event("v", "anonymous:a"), event("w", "billing:b")],
        [event(1, "billing:b", **SIGNUP)],
        [event(2, "user:u1", "billing:b")],
    ),
    "a member names an account that its owner takes": (
        [],
        [event(1, "user:u1", **SIGNUP)],
        [event(2, "user:u2", accounts=("mention=group:g",)), event(3, "user:u3", **SIGNUP)],
    ),
    "two owners of one account": (
        [event("v", "user:u1"), event("w", "user:u2")],
        [event(1, "user:u1", **SIGNUP)],
        [event(2, "user:u2", **SIGNUP)],
    ),
    "persons merge whose accounts meet": (
        [event("v", "user:u1", **SIGNUP), event("w", "billing:b", accounts=("owner=cus:c",))],
        [event(1, "user:u1", accounts=("owner=group:g", "owner=cus:c"))],
        [event(2, "user:u1", "billing:b")],
    ),
    "an alias becomes ambiguous while it links": (
        [event("v", "user:u1", "anonymous:a")],
        [event(1, "anonymous:a", "anonymous:b")],
        [event(2, "user:u2", "anonymous:a")],
    ),
    "owners of two groups turn out to be one": (
        [event("v", "user:u1", **SIGNUP), event("w", "billing:b", accounts=("owner=group:h",))],
        [event(1, "user:u1", "billing:b")],
        [event(2, "billing:b", "anonymous:a"), event(3, "user:u1", accounts=("owner=cus:c",))],
    ),
}


def stopped_at_each_call(
    before: list[CanonicalEvent],
    one: list[CanonicalEvent],
    other: list[CanonicalEvent],
    *,
    warm: bool,
) -> Iterator[MemoryStore]:
    """The store after each of the interleavings."""
    for call in range(MOST_CALLS):
        for afterwards in (False, True):
            store = MemoryStore()
            gate = Interrupted(store)
            mine, theirs = resolver(gate), resolver(store)
            batch = [record(e) for e in before]
            (mine if warm else theirs)(batch)
            theirs([record(e) for e in before])
            gate.interrupt(
                call, lambda copy=theirs: copy([record(e) for e in other]), afterwards=afterwards
            )
            assert not mine([record(e) for e in one]).failed
            if gate.calls <= call:
                return
            theirs([record(e) for e in [*before, *one, *other]])
            yield store
    raise AssertionError(f"more than {MOST_CALLS} calls")


def consistent(store: MemoryStore) -> None:
    """What must hold whatever happened."""
    aliases = [one for person in live_persons(store) for one in person.aliases]
    assert len(aliases) == len(set(aliases))
    for person in live_persons(store):
        assert len(users_of(person)) <= 1
    for row in store.rows.values():
        if isinstance(row, SubjectRow) and row.merged_into is None:
            assert len([a for a in row.accounts if a.startswith("group:")]) <= 1
    subject_of_rows(store)


def partition(store: MemoryStore) -> set[frozenset[str]]:
    return {frozenset(person.aliases) for person in live_persons(store)}


@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "stale"])
@pytest.mark.parametrize("name", RACES)
def test_any_interleaving_of_two_copies_leaves_what_one_would(name: str, *, warm: bool) -> None:
    before, one, other = RACES[name]
    wanted = []
    for first, second in ((one, other), (other, one)):
        store = MemoryStore()
        resolve(store, *before, *first, *second)
        wanted.append(partition(store))
    seen = 0
    for store in stopped_at_each_call(before, one, other, warm=warm):
        consistent(store)
        assert partition(store) in wanted
        seen += 1
    assert seen > 2


@pytest.mark.parametrize("afterwards", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", RACES)
def test_a_copy_that_hears_nothing_at_any_call_leaves_nothing_half_done(
    name: str, *, afterwards: bool
) -> None:
    before, one, other = RACES[name]
    events = [*before, *one, *other]
    oracle = MemoryStore()
    resolve(oracle, *events)
    for call in range(MOST_CALLS * 3):
        store = MemoryStore()
        gate = Interrupted(store)
        gate.interrupt(call, lost, afterwards=afterwards)
        copy = resolver(gate)
        failed = [e for e in events if copy([record(e)]).failed]
        consistent(store)

        same, fresh = (copy, resolver(store))[call % 2], resolver(store)
        same([record(e) for e in failed])
        fresh([record(e) for e in events])

        consistent(store)
        assert {len(users_of(p)) for p in live_persons(store)} <= {0, 1}
        if name not in ("two users take one device", "an alias becomes ambiguous while it links"):
            assert partition(store) == partition(oracle)
        told = {(c.kind, c.winner, c.loser) for c in announced(store)}
        lost_someone = {
            row.subject
            for row in store.rows.values()
            if isinstance(row, SubjectRow) and row.merged_into
        }
        assert lost_someone <= {loser for kind, _, loser in told if kind == "subject_merged"}
        if gate.calls <= call:
            return
    raise AssertionError("more calls than expected")


def test_old_and_new_rows_side_by_side_do_not_link_over_an_ambiguous_alias() -> None:
    # Given a copy that read the device's row when it was one person's
    store = MemoryStore()
    link(store, event(1, "user:u1", "anonymous:device"))
    stale = linker(store)
    stale(event(2, "anonymous:device"))
    # and that device is another one's too by now,
    link(store, event(3, "user:u2", "anonymous:device"))
    # and the copy has read that person's row anew, but not the device's
    stale(event(4, "user:u1", "anonymous:other"))

    stale(event(5, "anonymous:device", "anonymous:visitor"))

    assert not together(store, "user:u1", "anonymous:visitor")
    assert together(store, "user:u1", "anonymous:other")


def test_a_stale_copy_names_a_tombstone_that_leads_to_the_root() -> None:
    store = MemoryStore()
    stale = linker(store)
    before = stale(event(1, "anonymous:a"))
    link(store, event(2, "user:u", "anonymous:a", **SIGNUP))

    again = stale(event(3, "anonymous:a"))

    assert again == before
    assert view_of(store, "anonymous:a").root.subject == alias("user:u").fragment
    row = store.get(SubjectRow.ref_to(again.subject))
    assert row is not None
    assert row.merged_into == alias("user:u").fragment


def test_marking_an_alias_makes_a_merge_over_it_look_again() -> None:
    store = MemoryStore()
    link(store, event(1, "user:u1", "anonymous:d"))
    gate = Interrupted(store)
    gate.interrupt(2, lambda: link(store, event(2, "user:u2", "anonymous:d")))

    linker(gate)(event(3, "anonymous:d", "anonymous:e"))

    device = store.get(AliasRow.ref_to("anonymous", alias("anonymous:d").fragment))
    assert device is not None
    assert device.ambiguous
    assert not together(store, "user:u2", "anonymous:d")


def test_a_store_that_always_conflicts_is_given_up_and_nothing_is_counted() -> None:
    class Contended(MemoryStore):
        def write(self, *writes: Put | Check) -> None:
            raise ConflictError("always")

    store, told = Contended(), Told()

    result = resolver(store, told)([record(event(1, "user:u", "anonymous:a"))])

    assert [reason for _, reason in result.failed] == ["ConflictError"]
    assert not told.produced


def test_an_account_row_is_not_lost_between_two_members() -> None:
    store = MemoryStore()
    resolve(store, event(0, "user:o", **SIGNUP))
    gate = Interrupted(store)
    one = resolver(gate)
    members = [event(i, f"user:m{i}", accounts=("member=group:g",)) for i in range(2)]
    gate.interrupt(3, lambda: resolve(store, members[1]))

    one([record(members[0])])

    row = store.get(AccountRow.ref_to("group:g"))
    assert row is not None
    assert {alias("user:m0").fragment, alias("user:m1").fragment} <= set(row.fragments)
    assert view_of(store, "group:g").state.counts == {"trial_signup": 1, "logged_in": 2}
    assert root_of(store, "user:m0").fragment != root_of(store, "user:m1").fragment
