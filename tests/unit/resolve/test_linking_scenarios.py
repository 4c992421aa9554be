"""Persons, subjects and accounts as they come about in practice, and where others go wrong."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import TerminalError
from desireline.events import AliasType, CanonicalEvent, ChangeKind
from desireline.identity.aliases import Fragments
from desireline.identity.trace import subject_of_account, trace_subject
from desireline.resolve import link as linking
from desireline.resolve.persons import ALIASES_LIMIT, MERGES_LIMIT, edge_of, evidence_of
from desireline.rows import (
    AccountRow,
    AliasRow,
    EvidenceRow,
    PersonRow,
    Put,
    StateRow,
    SubjectRow,
    fragment_of,
)
from tests.worlds.event_streams import DAY, START, alias, event
from tests.worlds.resolving import (
    Told,
    announced,
    link,
    linker,
    live_persons,
    resolve,
    root_of,
    subject_of_rows,
    together,
    users_of,
    view_of,
)

OWNS = ("owner=group:g1",)


def test_an_anonymous_visit_needs_no_identity_row() -> None:
    store = MemoryStore()

    resolve(store, event(1, "anonymous:a"), event(2, "anonymous:a", name="page_viewed"))

    assert {type(row).__name__ for row in store.rows.values()} == {"StateRow"}


def test_visits_before_signup_belong_to_the_trial() -> None:
    store = MemoryStore()
    visits = [
        event(f"v{i}", "anonymous:a", name="page_viewed", occurred_at=START - i * DAY)
        for i in range(3)
    ]

    resolve(store, *visits, event("s", "user:u", "anonymous:a", name="trial_signup", accounts=OWNS))

    state = view_of(store, "group:g1").state
    assert state.counts == {"page_viewed": 3, "trial_signup": 1}
    assert state.first["page_viewed"] == (START - 2 * DAY, "v2")


def test_an_account_that_becomes_known_late_adopts_the_subject() -> None:
    store = MemoryStore()
    resolve(store, event(1, "user:u", name="trial_signup"), event(2, "user:u"))
    before = view_of(store, "user:u").root.subject

    resolve(store, event(3, "user:u", name="group_joined", accounts=OWNS))

    view = view_of(store, "group:g1")
    assert view.root.subject == before
    assert view.root.accounts == ("group:g1",)
    assert sum(view.state.counts.values()) == 3


def test_an_account_named_before_its_owner_signs_up_merges_into_the_older_subject() -> None:
    store = MemoryStore()
    resolve(store, event(1, "user:member", accounts=("mention=group:g1",), received_at=START + 5))
    named = store.get(AccountRow.ref_to("group:g1"))
    assert named is not None
    assert named.subject == subject_of_account("group:g1")

    resolve(store, event(2, "user:owner", name="trial_signup", accounts=OWNS, received_at=START))

    view = view_of(store, "group:g1")
    assert view.root.subject == alias("user:owner").fragment
    assert view.root.absorbed == (named.subject,)
    assert trace_subject(store, named.subject)[0] == view.root
    assert view.state.counts == {"logged_in": 1, "trial_signup": 1}


def test_a_member_who_joins_acts_for_the_account_and_stays_a_person_of_its_own() -> None:
    store = MemoryStore()
    resolve(store, event(1, "user:owner", name="trial_signup", accounts=OWNS))

    resolve(
        store,
        event(2, "user:member", name="task_created", accounts=("member=group:g1",)),
        event(3, "user:member", name="page_viewed"),
    )

    assert view_of(store, "group:g1").state.counts == {"trial_signup": 1, "task_created": 1}
    assert view_of(store, "user:member").state.counts == {"page_viewed": 1}
    assert not together(store, "user:owner", "user:member")


def test_accounts_of_one_event_with_ownership_join_the_same_subject() -> None:
    store = MemoryStore()

    resolve(store, event(1, "user:u", accounts=("owner=group:g1", "owner=cus:c1")))

    assert view_of(store, "group:g1").root.accounts == ("cus:c1", "group:g1")
    assert view_of(store, "cus:c1").root == view_of(store, "group:g1").root


def test_an_owner_of_two_groups_keeps_two_subjects() -> None:
    store = MemoryStore()

    resolve(
        store,
        event(1, "user:u", name="trial_signup", accounts=OWNS),
        event(2, "user:u", name="trial_signup", accounts=("owner=group:g2", "owner=cus:c2")),
    )

    first, second = view_of(store, "group:g1"), view_of(store, "group:g2")
    assert first.root.subject != second.root.subject
    assert second.root.accounts == ("cus:c2", "group:g2")
    assert first.state.counts == second.state.counts == {"trial_signup": 1}
    assert view_of(store, "user:u", everywhere=True).absence.counts == {"trial_signup": 2}


def test_owners_of_two_groups_who_are_one_person_keep_the_subjects_apart() -> None:
    store = MemoryStore()
    resolve(
        store,
        event(1, "user:u", name="trial_signup", accounts=OWNS),
        event(2, "billing:b", name="trial_signup", accounts=("owner=group:g2",)),
        event(3, "billing:b"),
    )

    resolve(store, event(4, "user:u", "billing:b"))

    assert together(store, "user:u", "billing:b")
    assert view_of(store, "group:g1").state.counts == {"trial_signup": 1, "logged_in": 2}
    assert view_of(store, "group:g2").state.counts == {"trial_signup": 1}
    subject_of_rows(store)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_two_people_on_a_shared_device_never_merge(order: tuple[int, ...]) -> None:
    events = [
        event(1, "anonymous:device", name="page_viewed"),
        event(2, "user:u1", "anonymous:device"),
        event(3, "user:u2", "anonymous:device"),
        event(4, "user:u2", "email:u2@x.test", "anonymous:device"),
    ]
    store = MemoryStore()

    resolve(store, *(events[i] for i in order), *events)

    assert not together(store, "user:u1", "user:u2")
    assert together(store, "user:u2", "email:u2@x.test")
    assert all(len(users_of(person)) <= 1 for person in live_persons(store))
    device = alias("anonymous:device")
    row = store.get(AliasRow.ref_to(device.type, device.fragment))
    assert row is not None
    assert row.ambiguous
    assert root_of(store, "user:u1").ambiguous
    assert root_of(store, "user:u2").ambiguous


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_user_ids_that_conflict_over_a_chain_never_merge(order: tuple[int, ...]) -> None:
    events = [
        event(1, "user:u1", "email:shared@x.test"),
        event(2, "user:u2", "anonymous:a"),
        event(3, "email:shared@x.test", "anonymous:a"),
        event(4, "user:u1", "billing:b"),
    ]
    store = MemoryStore()

    resolve(store, *(events[i] for i in order))

    assert not together(store, "user:u1", "user:u2")
    assert together(store, "user:u1", "billing:b")


def test_two_user_ids_in_one_event_do_not_merge() -> None:
    store, told = MemoryStore(), Told()

    linking.Link(store, told)(event(1, "user:u1", "user:u2", "anonymous:a"))

    assert not together(store, "user:u1", "user:u2")
    assert together(store, "user:u1", "anonymous:a")
    assert told.counts["links_refused"]


def test_an_ambiguous_alias_links_nobody_again() -> None:
    store = MemoryStore()
    resolve(store, event(1, "user:u1", "anonymous:d"), event(2, "user:u2", "anonymous:d"))

    resolve(store, event(3, "user:u3", "anonymous:d"), event(4, "anonymous:d", "anonymous:e"))

    assert root_of(store, "user:u3").aliases == (f"user#{alias('user:u3').fragment}",)
    assert root_of(store, "anonymous:e").fragment == alias("anonymous:e").fragment


def test_chains_of_merges_lead_from_every_alias_to_one_person_and_one_subject() -> None:
    store = MemoryStore()
    names = [f"anonymous:{i}" for i in range(6)]
    for left, right in zip(names, names[1:], strict=False):
        resolve(store, event(f"{left}{right}", left, right), event(f"alone {right}", right))

    resolve(store, event("known", "user:u", names[3]))

    assert together(store, "user:u", *names)
    assert len(live_persons(store)) == 1
    assert sum(view_of(store, names[0]).state.counts.values()) == 11
    for fragment in (alias(name).fragment for name in names):
        assert trace_subject(store, fragment)[0].subject == root_of(store, "user:u").subject


def test_the_known_one_wins_then_the_older_then_the_smaller_id() -> None:
    store = MemoryStore()
    link(store, event(1, "email:e@x.test", "anonymous:old", received_at=START - DAY))
    link(store, event(2, "user:u", "email:e@x.test", received_at=START))

    assert root_of(store, "anonymous:old").fragment == alias("user:u").fragment

    link(store, event(3, "anonymous:b", "anonymous:c", received_at=START))
    link(store, event(4, "anonymous:d", "anonymous:f", received_at=START - 1))
    older = root_of(store, "anonymous:d").fragment
    link(store, event(5, "anonymous:c", "anonymous:f", received_at=START))

    assert root_of(store, "anonymous:b").fragment == older


def test_a_person_gains_single_aliases_up_to_the_limit_of_aliases() -> None:
    store = MemoryStore()
    events = [event(i, "user:u", f"anonymous:{i}") for i in range(ALIASES_LIMIT + 5)]

    resolve(store, *events)

    person = root_of(store, "user:u")
    assert person.merges == 0
    assert len(person.aliases) == ALIASES_LIMIT
    assert sum(view_of(store, "user:u").state.counts.values()) == len(events)


def pairs_joined_one_by_one(count: int) -> list[CanonicalEvent]:
    """Persons of two aliases each, and an event for each that joins it to user u."""
    pairs = [event(f"pair {i}", f"email:{i}@x.test", f"anonymous:{i}") for i in range(count)]
    joins = [event(f"join {i}", "user:u", f"anonymous:{i}") for i in range(count)]
    return [event("first", "user:u", "email:u@x.test"), *pairs, *joins]


def test_a_person_of_too_many_merges_absorbs_no_more_persons_and_still_counts() -> None:
    store = MemoryStore()
    extra = 5
    events = pairs_joined_one_by_one(MERGES_LIMIT + extra)

    resolve(store, *events)

    person = root_of(store, "user:u")
    assert person.merges == MERGES_LIMIT
    assert len(person.aliases) == 2 + 2 * MERGES_LIMIT
    assert len(live_persons(store)) == 1 + extra
    states = [row.state for row in store.rows.values() if isinstance(row, StateRow)]
    assert sum(sum(state.counts.values()) for state in states) == len(events)


def test_a_person_of_too_many_merges_still_gains_single_aliases() -> None:
    store = MemoryStore()
    resolve(store, *pairs_joined_one_by_one(MERGES_LIMIT))

    resolve(store, *(event(f"alone {i}", "user:u", f"anonymous:alone {i}") for i in range(3)))

    person = root_of(store, "user:u")
    assert person.merges == MERGES_LIMIT
    assert len(person.aliases) == 2 + 2 * MERGES_LIMIT + 3


def test_the_merges_of_both_persons_stay_with_the_merged_one() -> None:
    store = MemoryStore()
    for side in "ab":
        link(store, event(f"{side}1", f"anonymous:{side}1", f"anonymous:{side}2"))
        link(store, event(f"{side}2", f"anonymous:{side}3", f"anonymous:{side}4"))
        link(store, event(f"{side}3", f"anonymous:{side}2", f"anonymous:{side}3"))
        assert root_of(store, f"anonymous:{side}1").merges == 1

    link(store, event("both", "anonymous:a1", "anonymous:b1"))

    assert root_of(store, "anonymous:b4").merges == 3


def a_chain_of_tombstones(store: MemoryStore) -> None:
    """b and c were one person first, whom an address took over, and that a user."""
    link(store, event(1, "anonymous:b", "anonymous:c", received_at=START))
    link(store, event(2, "email:e@x.test", "anonymous:b", received_at=START - 1))
    link(store, event(3, "user:u", "email:e@x.test"))


def test_an_alias_behind_several_tombstones_gets_a_shorter_way_when_it_is_touched() -> None:
    store = MemoryStore()
    a_chain_of_tombstones(store)
    assert together(store, "user:u", "email:e@x.test", "anonymous:b", "anonymous:c")
    assert not [row for row in store.rows.values() if isinstance(row, AliasRow)]

    link(store, event(4, "anonymous:c"), event(5, "user:u", "email:e@x.test"))

    (row,) = [row for row in store.rows.values() if isinstance(row, AliasRow)]
    assert (row.type, row.fragment) == ("anonymous", alias("anonymous:c").fragment)
    assert row.root == alias("user:u").fragment
    reads = store.reads
    link(store, event(6, "anonymous:c"))
    assert store.reads - reads == len({"alias", "person", "subject"})


def test_a_shorter_way_past_the_evidence_leaves_a_row_of_it_once() -> None:
    store = MemoryStore()
    a_chain_of_tombstones(store)
    link(store, event(4, "anonymous:b"), event(5, "anonymous:c"))

    link(store, *(event(i, "anonymous:b", "anonymous:c") for i in (6, 7)))

    pair = {listed("anonymous:b"), listed("anonymous:c")}
    told = [one.event_id for one in evidence(store) if {one.left, one.right} == pair]
    assert sorted(told) == [event(i, "user:u").event_id for i in (1, 6)]


def test_a_subject_lists_the_winner_in_the_place_of_whom_it_absorbed() -> None:
    store = MemoryStore()

    resolve(store, *(event(i, "user:u", f"anonymous:{i}", accounts=OWNS) for i in range(5)))

    assert view_of(store, "user:u").root.persons == (alias("user:u").fragment,)


def test_an_event_of_very_many_aliases_links_its_strongest() -> None:
    store = MemoryStore()
    names = ["user:u", *(f"anonymous:{i:02}" for i in range(40))]

    resolve(store, event(1, *names))

    assert len(root_of(store, "user:u").aliases) == linking.ALIASES_AN_EVENT


def listed(name: str) -> str:
    return f"{alias(name).type}#{alias(name).fragment}"


def evidence(store: MemoryStore) -> list[EvidenceRow]:
    """That of tombstones, and that of pairs which merged nobody."""
    found: list[EvidenceRow] = []
    for row in store.rows.values():
        if isinstance(row, EvidenceRow):
            assert row.version == 1
            found.append(row)
        elif isinstance(row, PersonRow):
            assert bool(row.evidence) == bool(row.merged_into)
            found += evidence_of(row)
    assert all(one.edge == edge_of(*map(fragment_of, (one.left, one.right))) for one in found)
    return found


def test_each_pair_of_aliases_leaves_evidence_once_merged_or_not() -> None:
    store = MemoryStore()

    resolve(
        store,
        event(1, "user:u1", "email:e@x.test", "anonymous:a"),
        event(2, "user:u1", "anonymous:a"),
        event(3, "user:u2", "anonymous:a"),
    )

    pairs = [(frozenset((one.left, one.right)), one.merged) for one in evidence(store)]

    u1, u2, e, a = map(listed, ("user:u1", "user:u2", "email:e@x.test", "anonymous:a"))
    assert Counter(pairs) == Counter(
        [
            (frozenset((u1, e)), True),
            (frozenset((u1, a)), True),
            (frozenset((e, a)), True),
            (frozenset((u2, a)), False),
        ]
    )


@pytest.mark.parametrize(
    ("one", "other", "holdout", "marked"),
    [
        (True, False, True, True),
        (False, True, True, True),
        (True, None, True, False),
        (False, None, False, False),
        (True, True, True, False),
        (None, None, None, False),
    ],
)
def test_holdout_wins_a_merge_and_the_subject_is_marked(
    *, one: bool | None, other: bool | None, holdout: bool | None, marked: bool
) -> None:
    store = MemoryStore()
    for name, assigned in (("user:u", one), ("anonymous:a", other)):
        subject = alias(name).fragment
        store.write(Put(SubjectRow(subject=subject, persons=(subject,), holdout=assigned)))

    resolve(store, event(1, "user:u", "anonymous:a"))

    root = view_of(store, "user:u").root
    assert (root.holdout, root.holdout_conflict) == (holdout, marked)


def test_every_subject_that_gains_or_loses_rows_is_announced() -> None:
    store = MemoryStore()
    resolve(
        store,
        event(1, "user:u", name="trial_signup", accounts=OWNS),
        event(2, "billing:b", name="trial_signup", accounts=("owner=group:g2",)),
        event(3, "anonymous:a"),
    )
    store.streams.clear()

    resolve(store, event(4, "user:u", "billing:b"))
    told = {(one.kind, one.subject) for one in announced(store)}
    user, bill, visitor = (alias(n).fragment for n in ("user:u", "billing:b", "anonymous:a"))
    assert (ChangeKind.PERSON_MERGED, user) in told
    assert (ChangeKind.PERSON_MERGED, bill) in told

    store.streams.clear()
    resolve(store, event(5, "user:u", "anonymous:a"))
    assert {(one.kind, one.winner, one.loser) for one in announced(store)} >= {
        (ChangeKind.SUBJECT_MERGED, user, visitor)
    }

    store.streams.clear()
    resolve(store, event(6, "user:m", accounts=("member=group:g1",)))
    assert {(one.kind, one.subject) for one in announced(store)} == {
        (ChangeKind.ACCOUNT_NAMED, user)
    }


def test_a_merge_is_one_write_with_all_its_rows() -> None:
    class Counting(MemoryStore):
        sizes: list[list[str]] = []

        def write(self, *writes: object) -> None:
            super().write(*writes)  # type: ignore[arg-type]
            self.sizes.append(sorted(type(one.row).__name__ for one in writes))  # type: ignore[attr-defined]

    store = Counting()
    link(store, event(1, "user:u", name="trial_signup", accounts=OWNS))
    store.sizes.clear()

    link(store, event(2, "user:u", "anonymous:a"))

    assert store.sizes == [["PersonRow"] * 2 + ["SubjectRow"] * 2]


@pytest.mark.parametrize(
    "value", ["", "null", "undefined", "anonymous", "0", "-1", "00000000-0000-0000", '"null"', " "]
)
def test_values_that_mean_nobody_are_no_alias(value: str) -> None:
    assert Fragments(b"secret").alias(AliasType.USER, value) is None


def test_an_address_that_several_people_read_is_no_alias() -> None:
    assert Fragments(b"secret").alias(AliasType.EMAIL, "Info@Company.test") is None


def test_a_circle_of_tombstones_is_an_error_that_no_retry_helps() -> None:
    store = MemoryStore()
    for one, other in (("s1", "s2"), ("s2", "s1")):
        store.write(Put(SubjectRow(subject=one, merged_into=other)))

    with pytest.raises(TerminalError, match="subject_circle"):
        trace_subject(store, "s1")


def test_what_was_linked_before_costs_nothing() -> None:
    store = MemoryStore()
    copy = linker(store)
    joined = event(1, "user:u", "anonymous:a", accounts=OWNS)
    first = copy(joined)
    reads, writes = store.reads, store.writes

    again = copy(joined.model_copy(update={"event_id": "2"}))

    assert again == first
    assert (store.reads, store.writes) == (reads, writes)
    assert store.get(PersonRow.ref_to(first.person)) is not None


def test_what_was_linked_before_is_followed_to_the_survivor() -> None:
    store = MemoryStore()
    copy = linker(store)
    visit = event(1, "anonymous:a")
    copy(visit)
    survivor = copy(event(2, "user:u", "anonymous:a", accounts=OWNS))
    reads = store.reads

    followed = copy(visit.model_copy(update={"event_id": "3"}))

    assert followed == survivor
    assert followed.person != alias("anonymous:a").fragment
    assert store.reads == reads
