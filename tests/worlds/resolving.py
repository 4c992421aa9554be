"""Copies of resolve on one store, and what can be said of what they left there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from desireline.adapters.memory import MemoryStore, failure_of
from desireline.announce.publish_changes import identity_changes
from desireline.errors import Failure, UnavailableError
from desireline.events import CanonicalEvent, IdentityChanged
from desireline.identity.trace import trace_subject
from desireline.identity.view import SubjectView, read_subject
from desireline.records import Outgoing
from desireline.resolve.fold import Fold
from desireline.resolve.link import Link, Linked
from desireline.resolve.resolve_identity import ResolveIdentity
from desireline.rows import AccountRow, Change, Check, PersonRow, Put, Ref, StateRow
from tests.worlds.event_streams import START, alias, record


class Told:
    """Clock, producer and metrics that remember what they were told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.produced: list[Outgoing] = []
        self.flushed = 0

    def now(self) -> int:
        return START

    def count(self, name: str, value: int = 1, **dimensions: str) -> None:
        self.counts[name] += value

    def produce(self, outgoing: Outgoing) -> None:
        self.produced.append(outgoing)

    def flush(self, timeout: float) -> None:
        self.flushed = len(self.produced)


class Interrupted:
    """A Store that calls `what` before its n-th call, or after it where that is a write."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.calls = 0
        self.at = -1
        self.what: Callable[[], None] = lambda: None
        self.afterwards = False

    def interrupt(self, at: int, what: Callable[[], None], *, afterwards: bool = False) -> None:
        """From now on, count calls from 0."""
        self.calls, self.at, self.what, self.afterwards = 0, at, what, afterwards

    def get(self, ref: Ref[Any]) -> Any:
        return self._call(lambda: self.store.get(ref))

    def get_all(self, refs: Sequence[Ref[Any]]) -> Any:
        return self._call(lambda: self.store.get_all(refs))

    def query(self, row_type: Any, pk: str) -> Any:
        return self._call(lambda: self.store.query(row_type, pk))

    def write(self, *writes: Put | Check) -> None:
        self._call(lambda: self.store.write(*writes))

    def write_each(self, transactions: Sequence[Sequence[Put | Check]]) -> list[Failure | None]:
        return [failure_of(self.write, writes) for writes in transactions]

    def _call(self, call: Callable[[], Any]) -> Any:
        mine = self.calls == self.at
        self.calls += 1
        if mine and not self.afterwards:
            self.what()
        answer = call()
        if mine and self.afterwards:
            self.what()
        return answer


def lost() -> None:
    """The call's answer never comes."""
    raise UnavailableError("no answer")


def linker(store: Any) -> Link:
    return Link(store, Told())


def resolver(store: Any, told: Told | None = None, **limits: int) -> ResolveIdentity:
    told = told or Told()
    return ResolveIdentity(
        store=store,
        producer=told,
        clock=told,
        wall=told,
        metrics=told,
        link=Link(store, told),
        fold=Fold(store, **limits),
    )


def resolve(store: MemoryStore, *events: CanonicalEvent) -> None:
    """All of them, one by one, by one copy."""
    copy = resolver(store)
    for number, one in enumerate(events):
        assert copy([record(one, number)]).done


def link(store: MemoryStore, *events: CanonicalEvent) -> list[Linked]:
    """All of them, each by a fresh copy that remembers nothing."""
    return [linker(store)(one) for one in events]


def root_of(store: MemoryStore, name: str) -> PersonRow:
    """The live person of 'user:u1', the default one if nothing was linked."""
    found = alias(name)
    fragment = found.fragment
    while row := store.get(PersonRow.ref_to(fragment)):
        if row.merged_into is None:
            return row
        fragment = row.merged_into
    return PersonRow(
        fragment=fragment, subject=fragment, aliases=(f"{found.type}#{found.fragment}",)
    )


def together(store: MemoryStore, *names: str) -> bool:
    return len({root_of(store, name).fragment for name in names}) == 1


def view_of(store: MemoryStore, name: str, *, everywhere: bool = False) -> SubjectView:
    """The subject of a person ('user:u1') or of an account ('group:g', 'cus:c')."""
    if name.startswith(("group:", "cus:", "crm:")) and (row := store.get(AccountRow.ref_to(name))):
        return read_subject(store, row.subject, everywhere=everywhere)
    return read_subject(store, root_of(store, name).subject, everywhere=everywhere)


def live_persons(store: MemoryStore) -> list[PersonRow]:
    return [
        row for row in store.rows.values() if isinstance(row, PersonRow) and row.merged_into is None
    ]


def users_of(person: PersonRow) -> list[str]:
    return [one for one in person.aliases if one.startswith("user#")]


def changes(store: MemoryStore) -> list[Change]:
    return [change for stream in store.streams.values() for change in stream]


def announced(store: MemoryStore) -> list[IdentityChanged]:
    """What publish_changes makes of all that was written."""
    return [
        message
        for change in changes(store)
        if change.new is not None
        for message in identity_changes(change.old, change.new, START)
    ]


def subject_of_rows(store: MemoryStore) -> dict[tuple[str, str], str]:
    """The subject that each state row belongs to; fails where a row has two or none."""
    owners: dict[tuple[str, str], list[str]] = {
        (row.fragment, row.account): [] for row in store.rows.values() if isinstance(row, StateRow)
    }
    roots = set()
    for fragment, account in owners:
        if account == "-":
            row = store.get(PersonRow.ref_to(fragment))
            while row is not None and row.merged_into:
                row = store.get(PersonRow.ref_to(row.merged_into))
            roots.add(trace_subject(store, row.subject if row else fragment)[0].subject)
        else:
            named = store.get(AccountRow.ref_to(account))
            assert named is not None
            roots.add(trace_subject(store, named.subject)[0].subject)
    for root in roots:
        view = read_subject(store, root)
        member = {
            (fragment, account)
            for account in view.root.accounts
            for fragment in (store.get(AccountRow.ref_to(account)) or _nobody(account)).fragments
        }
        for (fragment, account), found in owners.items():
            own = fragment in view.fragments and account in ("-", *view.root.accounts)
            if own or (fragment, account) in member:
                found.append(root)
    assert all(len(found) == 1 for found in owners.values()), owners
    return {place: found[0] for place, found in owners.items()}


def _nobody(account: str) -> AccountRow:
    return AccountRow(account=account, subject="nobody")
