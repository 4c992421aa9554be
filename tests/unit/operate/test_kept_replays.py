"""What a command keeps of a replay, and whom it takes for a person."""

from __future__ import annotations

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.events import AliasType
from desireline.identity.aliases import Fragments
from desireline.identity.find import UnknownSubjectError, fragments_of_person, fragments_of_subject
from desireline.journey.state import EMPTY
from desireline.ports import Part, Span
from desireline.recover.replay_webhooks import Counts, ReplayProgress, Selection
from desireline.rows import PersonRow, Put, StateRow, SubjectRow
from desireline_operate.replays import StoredReplay, count_steps

FRAGMENTS = Fragments(b"any")


def fragment(kind: AliasType, value: str) -> str:
    alias = FRAGMENTS.alias(kind, value)
    assert alias is not None
    return alias.fragment


ADA, LAPTOP, PHONE = (
    fragment(AliasType.USER, "ada"),
    fragment(AliasType.ANONYMOUS, "laptop"),
    fragment(AliasType.ANONYMOUS, "phone"),
)


@pytest.fixture
def store() -> MemoryStore:
    """Ada, who was two persons once."""
    made = MemoryStore()
    aliases = (f"user#{ADA}", f"anonymous#{LAPTOP}", f"anonymous#{PHONE}")
    made.write(
        Put(PersonRow(fragment=ADA, subject="s-1", aliases=aliases)),
        Put(PersonRow(fragment=PHONE, subject="s-1", merged_into=ADA)),
        Put(SubjectRow(subject="s-1", persons=(ADA,))),
        Put(StateRow(fragment=ADA, account="-", state=EMPTY)),
    )
    return made


@pytest.mark.parametrize("asked", ["user:ada", "anonymous:phone"])
def test_a_person_is_found_by_any_of_its_aliases(store, asked):
    assert fragments_of_person(store, FRAGMENTS, asked) == {ADA, LAPTOP, PHONE}


def test_a_subject_is_everybody_in_it(store):
    assert fragments_of_subject(store, FRAGMENTS, "user:ada") >= {ADA, LAPTOP, PHONE}


@pytest.mark.parametrize("asked", ["user:nobody", "no-subject", "group:nobody"])
def test_a_subject_that_there_is_not_is_refused(store, asked):
    with pytest.raises(UnknownSubjectError):
        fragments_of_subject(store, FRAGMENTS, asked)


def test_a_replay_that_nobody_kept_is_told(tmp_path):
    with pytest.raises(ValueError, match="replay replay-7 is not stored"):
        StoredReplay.read("replay-7", tmp_path)


def test_somebody_of_whom_nothing_was_counted_is_looked_for_by_the_one_alias(store):
    bob = fragment(AliasType.EMAIL, "bob@example.org")
    assert fragments_of_person(store, FRAGMENTS, "bob@example.org") == {bob}


@pytest.mark.parametrize("asked", ["ada", "user:", "nobody:x", "email:no address"])
def test_what_identifies_nobody_is_refused(store, asked):
    with pytest.raises(UnknownSubjectError):
        fragments_of_person(store, FRAGMENTS, asked)


def test_a_replay_is_read_as_it_was_kept(tmp_path):
    selection = Selection(sources=frozenset({"segment"}), fragments=frozenset({ADA}))
    span = Span(0, 5, (Part("0", 3, 9), Part("some/key", 0)))
    kept = StoredReplay(
        id="replay-1", deployment="dev", origin="kafka", selection=selection, left=span
    )
    kept.write(tmp_path)
    assert StoredReplay.read("replay-1", tmp_path) == kept
    assert count_steps(kept.left) == 7

    counts = Counts(bodies=4)
    counts.events["segment", "logged_in"] = 3
    later = kept.after(ReplayProgress(Span(0, 5, (Part("0", 8, 9),)), counts))
    later.write(tmp_path)

    found = StoredReplay.read("replay-1", tmp_path)
    assert (found.left.parts, found.bodies, found.events) == ((Part("0", 8, 9),), 4, 3)
    assert found.selection == selection
    assert [file.name for file in tmp_path.iterdir()] == ["replay-1.json"]


@pytest.mark.parametrize("name", ["../secret", "REPLAY", "", "a/b"])
def test_what_is_no_replays_id_is_no_path(tmp_path, name):
    with pytest.raises(ValueError, match="must be the id of a replay"):
        StoredReplay.read(name, tmp_path)
