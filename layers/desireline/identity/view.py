"""Read a subject: its persons, and the merge of its state rows.

A merge of persons or subjects copies no state. The read follows the tombstones, and merges the
state rows that belong to the subject now (delivery rules 4, 5 and 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from desireline.events import AliasType
from desireline.identity.reading import Reading, read, together
from desireline.identity.trace import tracing
from desireline.journey.state import JourneyState, merge
from desireline.ports import Store
from desireline.rows import AccountRow, PersonRow, Ref, StateRow, SubjectRow, fragment_of

KEPT_ROWS = 100
"""The most state rows of a subject's state. Rows of its own persons come first, in the order of
their aliases' strength, then rows of other persons by key."""

KEYS_READ = 1_000
"""The most keys to read for these rows. Most fragments have no row for most accounts."""

NOTED_FRAGMENTS = 2_000
"""The most fragments in an account's row."""

_STRENGTHS = {"": 0, **{str(kind): kind.strength for kind in AliasType}}
"""By alias type. The alias of a person without a row has the type "". Unknown types come last."""

NO_ACCOUNT = "-"


@dataclass(frozen=True, slots=True)
class SubjectView:
    """A subject as it is now.

    root: its live row; version 0 if it has no row. passed: the ids from the requested one to the
    root's, both included. persons: the live rows of its persons. fragments: of all their aliases.
    state: the merge of at most KEPT_ROWS state rows. beyond: keys that were not read for it.
    absence: like state, with the rows of `beyond` and the persons' rows of other accounts. It
    answers whether an event did not happen. It equals `state` unless read with `everywhere`.
    ambiguous: whether two persons share an alias of these persons.
    """

    root: SubjectRow
    passed: tuple[str, ...]
    persons: tuple[PersonRow, ...]
    fragments: tuple[str, ...]
    state: JourneyState
    beyond: tuple[Ref[StateRow], ...]
    absence: JourneyState
    ambiguous: bool


def read_subject(store: Store, subject: str, *, everywhere: bool = False) -> SubjectView:
    """Read a subject. Each row is read consistently, but the rows not at one instant.

    everywhere: also read the rows of `SubjectView.absence`.
    """
    view = read(store, viewing(subject))
    return replace(view, absence=_everywhere(store, view)) if everywhere else view


def viewing(subject: str) -> Reading[SubjectView]:
    """Do what `read_subject` does without `everywhere`, as a reading."""
    root, passed = yield from tracing(subject)
    return (yield from viewing_root(root, passed))


def viewing_root(root: SubjectRow, passed: tuple[str, ...]) -> Reading[SubjectView]:
    """Return the view of a root, from the results of `tracing`."""
    live, accounts = yield from together(_live_persons(root.persons), _accounts(root.accounts))
    persons = []
    for person in live:
        if (yield from _belongs(person, root, passed)):
            persons.append(person)
    aliases = {alias for person in persons for alias in person.aliases}
    own = list(dict.fromkeys(map(fragment_of, sorted(aliases, key=_strongest_first))))
    rows, beyond = yield from _first_rows(_state_refs(own, root.accounts, accounts))
    state = merge(row.state for row in rows)
    return SubjectView(
        root=root,
        passed=passed,
        persons=tuple(persons),
        fragments=tuple(own),
        state=state,
        beyond=beyond,
        absence=state,
        ambiguous=any(person.ambiguous for person in persons),
    )


def _strongest_first(alias: str) -> tuple[int, str]:
    kind, _, fragment = alias.partition("#")
    return (_STRENGTHS.get(kind, len(_STRENGTHS)), fragment)


def _first_rows(
    refs: Sequence[Ref[StateRow]],
) -> Reading[tuple[list[StateRow], tuple[Ref[StateRow], ...]]]:
    """Return the first KEPT_ROWS rows that exist, and the references after them."""
    rows: list[StateRow] = []
    for start in range(0, min(len(refs), KEYS_READ), KEPT_ROWS):
        page = refs[start : start + KEPT_ROWS]
        stored = yield page
        for index, ref in enumerate(page, start):
            if ref in stored:
                rows.append(stored[ref])
                if len(rows) == KEPT_ROWS:
                    return rows, tuple(refs[index + 1 :])
    return rows, tuple(refs[KEYS_READ:])


def _live_persons(fragments: Iterable[str]) -> Reading[list[PersonRow]]:
    """Follow the tombstones of these fragments to the live persons. Sorted by id, each once."""
    live: dict[str, PersonRow] = {}
    visited: set[str] = set()
    unread = set(fragments)
    while unread:
        visited |= unread
        refs = [PersonRow.ref_to(fragment) for fragment in sorted(unread)]
        rows = yield refs
        following: set[str] = set()
        for fragment, ref in zip(sorted(unread), refs, strict=True):
            row = rows.get(ref) or PersonRow(
                fragment=fragment, subject=fragment, aliases=(f"#{fragment}",)
            )
            if row.merged_into is None:
                live[fragment] = row
            else:
                following.add(row.merged_into)
        unread = following - visited
    return [live[fragment] for fragment in sorted(live)]


def _belongs(person: PersonRow, root: SubjectRow, passed: tuple[str, ...]) -> Reading[bool]:
    """Tell whether the person is still in this subject. A merge may have moved it to another."""
    if person.subject in (root.subject, *root.absorbed, *passed):
        return True
    current, _ = yield from tracing(person.subject)
    return current.subject == root.subject


def _accounts(keys: Sequence[str]) -> Reading[dict[str, AccountRow]]:
    if not keys:
        return {}
    rows = yield [AccountRow.ref_to(key) for key in keys]
    return {row.account: row for key in keys if (row := rows.get(AccountRow.ref_to(key)))}


def _state_refs(
    own: Sequence[str], keys: Sequence[str], accounts: Mapping[str, AccountRow]
) -> list[Ref[StateRow]]:
    """List the references of the subject's state rows: first those of its own fragments, then those
    of other fragments that named its accounts.

    Resolve adds a fragment to an account's row before it counts its events there. So a fragment
    that the row omits has no state row, unless the account's row is full."""
    fragments_of = {key: frozenset(row.fragments) for key, row in accounts.items()}

    def may_be_counted(fragment: str, account: str) -> bool:
        noted = fragments_of.get(account)
        return noted is None or fragment in noted or len(noted) >= NOTED_FRAGMENTS

    refs = [
        StateRow.ref_to(fragment, account)
        for fragment in own
        for account in (NO_ACCOUNT, *keys)
        if may_be_counted(fragment, account)
    ]
    others = ((key, sorted(noted.difference(own))) for key, noted in fragments_of.items())
    return refs + [StateRow.ref_to(fragment, key) for key, noted in others for fragment in noted]


def _everywhere(store: Store, view: SubjectView) -> JourneyState:
    """Return `SubjectView.absence`."""
    counted = {NO_ACCOUNT, *view.root.accounts}
    elsewhere = [
        row.state
        for fragment in view.fragments
        for row in store.query(StateRow, StateRow.ref_to(fragment, NO_ACCOUNT).pk)
        if row.account not in counted
    ]
    beyond = [row.state for row in store.get_all(view.beyond).values()]
    return merge([view.state, *beyond, *elsewhere])
