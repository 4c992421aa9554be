"""A subject is put together when it is read: whose rows are its own by now."""

from __future__ import annotations

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import TerminalError
from desireline.identity.trace import subject_of_account, trace_subject
from desireline.identity.view import KEPT_ROWS, NOTED_FRAGMENTS, read_subject
from desireline.journey.state import JourneyState
from desireline.rows import AccountRow, PersonRow, Put, SubjectRow
from tests.worlds.subjects import counted, person


def test_someone_of_whom_nothing_is_stored_is_a_subject_without_a_past() -> None:
    view = read_subject(MemoryStore(), "a")

    assert view.root == SubjectRow(subject="a", persons=("a",))
    assert view.fragments == ("a",)
    assert view.state == JourneyState()


def test_a_fragment_nobody_linked_is_its_own_subject() -> None:
    store = MemoryStore()
    counted(store, "a", number=3)

    assert read_subject(store, "a").state.counts == {"x": 3}


def test_tombstones_of_subjects_and_persons_are_followed() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="s1", merged_into="s2")))
    store.write(Put(SubjectRow(subject="s2", merged_into="s3")))
    store.write(Put(SubjectRow(subject="s3", persons=("p1",), absorbed=("s1", "s2"))))
    person(store, "p1", subject="s1", into="p2")
    person(store, "p2", "a", "b", "p1", subject="s2")
    for fragment in ("p1", "p2", "a", "b"):
        counted(store, fragment)

    view = read_subject(store, "s1")

    assert view.root.subject == "s3"
    assert view.passed == ("s1", "s2", "s3")
    assert [one.fragment for one in view.persons] == ["p2"]
    assert view.fragments == ("a", "b", "p1", "p2")
    assert view.state.counts == {"x": 4}


def test_a_person_whose_subject_is_another_by_now_does_not_count() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="s1", persons=("gone", "here"))))
    store.write(Put(SubjectRow(subject="s2", persons=("gone",))))
    person(store, "gone", subject="s2")
    person(store, "here", subject="s1")
    counted(store, "gone", number=5)
    counted(store, "here")

    assert read_subject(store, "s1").state.counts == {"x": 1}
    assert read_subject(store, "s2").state.counts == {"x": 5}


def test_a_person_whose_subject_was_absorbed_elsewhere_is_traced() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="s1", persons=("p",))))
    store.write(Put(SubjectRow(subject="s9", merged_into="s1")))
    person(store, "p", subject="s9")
    counted(store, "p")

    assert read_subject(store, "s1").state.counts == {"x": 1}


def test_rows_under_the_subjects_accounts_count_and_those_under_others_do_not() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="p", persons=("p",), accounts=("cus:c", "group:g"))))
    store.write(Put(AccountRow(account="group:g", subject="p", fragments=("member", "p"))))
    store.write(Put(AccountRow(account="cus:c", subject="p", fragments=("bill",))))
    for number, (fragment, account) in enumerate(
        [
            ("p", "-"),
            ("p", "group:g"),
            ("p", "group:other"),
            ("member", "group:g"),
            ("member", "-"),
            ("bill", "cus:c"),
            ("stranger", "group:g"),
        ]
    ):
        counted(store, fragment, account, 10**number)

    view = read_subject(store, "p", everywhere=True)

    assert view.state.counts == {"x": 101_011}
    assert view.absence.counts == {"x": 101_111}
    assert read_subject(store, "p").absence == view.state


def test_a_hundred_rows_at_most_the_persons_own_first_and_always_the_same() -> None:
    store = MemoryStore()
    members = tuple(sorted(f"m{i:03}" for i in range(150)))
    store.write(Put(SubjectRow(subject="p", persons=("p",), accounts=("group:g",))))
    store.write(Put(AccountRow(account="group:g", subject="p", fragments=members)))
    counted(store, "p", number=1000)
    for one in members:
        counted(store, one, "group:g")

    state = read_subject(store, "p").state

    assert state.counts == {"x": 1000 + KEPT_ROWS - 1}
    assert read_subject(store, "p").state == state


def visited(store: MemoryStore, user: str, visits: int, *accounts: str) -> None:
    """A user's person with so many anonymous visits, each counted once; accounts have no rows."""
    anonymous = [f"a{number:04}" for number in range(visits)]
    store.write(Put(SubjectRow(subject=user, persons=(user,), accounts=accounts)))
    aliases = (f"user#{user}", *(f"anonymous#{one}" for one in anonymous))
    store.write(Put(PersonRow(fragment=user, subject=user, aliases=aliases)))
    for one in (user, *anonymous):
        counted(store, one)


def test_rows_that_are_not_there_take_nobodys_place() -> None:
    store = MemoryStore()
    visited(store, "z", 40, "crm:c", "cus:c", "group:g")
    store.write(Put(AccountRow(account="group:g", subject="z", fragments=("mate",))))
    counted(store, "mate", "group:g", 1000)

    assert read_subject(store, "z").state.counts == {"x": 1041}


def test_the_strongest_identifiers_come_first() -> None:
    store = MemoryStore()
    visited(store, "z", 300)
    counted(store, "z", "group:g", 1000)
    row = store.get(SubjectRow.ref_to("z"))
    assert row is not None
    store.write(Put(row.but(accounts=("group:g",))))

    assert read_subject(store, "z").state.counts == {"x": 1000 + KEPT_ROWS - 1}


def test_an_identifier_of_a_kind_that_a_later_release_knows_comes_last() -> None:
    store = MemoryStore()
    visited(store, "z", KEPT_ROWS - 1)
    row = store.get(PersonRow.ref_to("z"))
    assert row is not None
    store.write(Put(row.but(aliases=("phone#0", *row.aliases))))
    counted(store, "0", number=1000)

    view = read_subject(store, "z", everywhere=True)

    assert view.fragments[-1] == "0"
    assert (view.state.counts, view.absence.counts) == ({"x": 100}, {"x": 1100})


@pytest.mark.parametrize("visits", [10, 99, 100, 101, 300, 1500])
def test_nothing_is_called_undone_that_lies_beyond_the_hundred_rows(visits: int) -> None:
    store = MemoryStore()
    visited(store, "z", visits, "group:g")
    members = tuple(f"m{number:03}" for number in range(150))
    store.write(Put(AccountRow(account="group:g", subject="z", fragments=members)))
    for one in members:
        counted(store, one, "group:g")
    counted(store, "z", "group:elsewhere")

    view = read_subject(store, "z", everywhere=True)

    assert view.absence.counts == {"x": visits + 1 + len(members) + 1}
    assert view.state.counts == {"x": KEPT_ROWS}


def test_own_fragments_are_looked_for_only_under_accounts_that_they_have_named() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="p", persons=("p",), accounts=("cus:c", "group:g"))))
    store.write(Put(AccountRow(account="group:g", subject="p", fragments=("p",))))
    store.write(Put(AccountRow(account="cus:c", subject="p", fragments=("a",))))
    person(store, "p", "a", "b", "c")
    counted(store, "p", "group:g", 1)
    counted(store, "a", "cus:c", 10)
    counted(store, "c", "-", 100)
    before = store.reads

    assert read_subject(store, "p").state.counts == {"x": 111}
    assert store.reads - before == len({"subject", "person", "two accounts"}) + 1 + 4 + 2


def test_an_account_that_is_full_notes_nobody_so_its_own_are_looked_for() -> None:
    store = MemoryStore()
    members = tuple(f"m{i:04}" for i in range(NOTED_FRAGMENTS))
    store.write(Put(SubjectRow(subject="p", persons=("p",), accounts=("group:g",))))
    store.write(Put(AccountRow(account="group:g", subject="p", fragments=members)))
    counted(store, "p", "group:g", 7)

    assert read_subject(store, "p").state.counts == {"x": 7}


def test_one_uncertain_person_makes_the_subject_uncertain() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="p", persons=("p", "q"))))
    person(store, "p")
    person(store, "q", subject="p")
    assert not read_subject(store, "p").ambiguous

    row = store.get(PersonRow.ref_to("q"))
    assert row is not None
    store.write(Put(row.but(ambiguous=True)))

    assert read_subject(store, "p").ambiguous


def test_a_circle_is_an_error_and_no_endless_walk() -> None:
    store = MemoryStore()
    store.write(Put(SubjectRow(subject="s1", merged_into="s2")))
    store.write(Put(SubjectRow(subject="s2", merged_into="s1")))

    with pytest.raises(TerminalError):
        trace_subject(store, "s2")


def test_an_unowned_accounts_subject_has_one_name_everywhere() -> None:
    assert subject_of_account("group:g") == subject_of_account("group:g")
    assert subject_of_account("group:g") != subject_of_account("group:h")
