"""Readings of a batch share their requests, and fail alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from desireline.adapters.memory import MemoryStore
from desireline.errors import TerminalError, ThrottledError, UnknownSchemaError
from desireline.identity.reading import Reading, read, read_all, together
from desireline.identity.view import read_subject, viewing
from desireline.rows import PersonRow, Put, Ref, SubjectRow


class CountedStore(MemoryStore):
    """Counts requests; refuses those that ask for a row of this key."""

    def __init__(self, refused: str = "", error: Exception | None = None) -> None:
        super().__init__()
        self.requests = 0
        self._refused = refused
        self._error = error

    def get(self, ref: Ref[Any]) -> Any:
        self._ask([ref])
        return super().get(ref)

    def get_all(self, refs: Sequence[Ref[Any]]) -> Any:
        self._ask(refs)
        return super().get_all(refs)

    def _ask(self, refs: Sequence[Ref[Any]]) -> None:
        self.requests += 1
        if self._error and any(ref.pk == self._refused for ref in refs):
            raise self._error


def known(store: MemoryStore, *subjects: str) -> None:
    for subject in subjects:
        store.write(Put(SubjectRow(subject=subject, persons=(subject,))))
        store.write(Put(PersonRow(fragment=subject, subject=subject, aliases=(f"user#{subject}",))))


def test_many_subjects_take_as_many_requests_as_one() -> None:
    store = CountedStore()
    names = [f"s{number}" for number in range(50)]
    known(store, *names)

    alone = [read_subject(store, "s0")]
    requests, store.requests = store.requests, 0
    together = read_all(store, [viewing(name) for name in names])

    assert store.requests == requests
    assert together[:1] == alone
    assert together == [read_subject(store, name) for name in names]


def test_readings_within_one_share_their_requests_too() -> None:
    store = CountedStore()
    known(store, "root", "other")
    store.write(Put(SubjectRow(subject="t1", persons=(), merged_into="root")))

    found = read(store, together(viewing("t1"), viewing("other"), _nothing()))

    requests, store.requests = store.requests, 0
    assert found == [read_subject(store, "t1"), read_subject(store, "other"), "nothing"]
    assert requests == 4
    assert read(store, together()) == []


def _nothing() -> Reading[str]:
    yield from ()
    return "nothing"


def test_a_longer_reading_goes_on_alone() -> None:
    store = CountedStore()
    known(store, "short", "root")
    store.write(Put(SubjectRow(subject="t1", persons=(), merged_into="t2")))
    store.write(Put(SubjectRow(subject="t2", persons=(), merged_into="root")))

    found = read_all(store, [viewing("t1"), viewing("short")])

    assert found == [read_subject(store, "t1"), read_subject(store, "short")]


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UnknownSchemaError("unknown_row")])
def test_only_the_reading_that_asks_for_the_refused_row_fails(error: Exception) -> None:
    refused = SubjectRow.ref_to("b").pk
    store = CountedStore(refused, error)
    known(store, "a", "b", "c")

    a, b, c = read_all(store, [viewing(name) for name in "abc"])

    assert b is error
    assert (a, c) == (read_subject(store, "a"), read_subject(store, "c"))


def test_what_a_reading_raises_is_its_own_result() -> None:
    def broken() -> Reading[str]:
        yield [SubjectRow.ref_to("a")]
        raise TerminalError("broken")

    def whole() -> Reading[str]:
        yield []
        return "whole"

    failure, result = read_all(MemoryStore(), [broken(), whole()])

    assert isinstance(failure, TerminalError)
    assert result == "whole"
    with pytest.raises(TerminalError, match="broken"):
        read(MemoryStore(), broken())


def test_no_readings_ask_nothing() -> None:
    store = CountedStore()
    assert read_all(store, []) == []
    assert store.requests == 0
