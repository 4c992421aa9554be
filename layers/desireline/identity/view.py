"""What is known of a subject, put together out of its persons' and accounts' rows when it is read.

Nothing is copied when persons or subjects merge: tombstones are followed here, and the state is the
merge of the rows that belong to the subject by now (delivery rules 4, 5 and 8).
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
"""State rows that make up a subject's state at most: those of its own persons first, of their
strongest identifiers, then by key."""

LOOKED_AT = 1_000
"""So many places are looked at for them: most fragments have no row under most accounts."""

NOTED_FRAGMENTS = 2_000
"""Fragments noted with an account at most."""

_STRENGTHS = {"": 0, **{str(one): one.strength for one in AliasType}}
"""A person without a row has an alias without a type; one that a later release knows comes last."""

NO_ACCOUNT = "-"


@dataclass(frozen=True, slots=True)
class SubjectView:
    """A subject as it is now.

    root: its live row, version 0 if it has none yet. passed: the ids from the one asked for to the
    root's, both included. persons: the live rows of its persons. fragments: of all their aliases.
    state: what was counted for the subject. beyond: places of rows that there was no room for.
    absence: all of these, and whatever these persons did under any other account: "did not happen"
    is judged on it (equal to `state` unless asked for).
    ambiguous: whether an alias of these persons is known to belong to several people.
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
    """Read a subject consistently, row by row.

    everywhere: also read what there was no room for, and what its persons did under other
    accounts, for `absence`.
    """
    view = read(store, viewing(subject))
    return replace(view, absence=_everywhere(store, view)) if everywhere else view


def viewing(subject: str) -> Reading[SubjectView]:
    """`read_subject` as a reading."""
    root, passed = yield from tracing(subject)
    return (yield from viewing_root(root, passed))


def viewing_root(root: SubjectRow, passed: tuple[str, ...]) -> Reading[SubjectView]:
    """The view of a root that `tracing` has led to."""
    live, accounts = yield from together(_live_persons(root.persons), _accounts(root.accounts))
    persons = []
    for person in live:
        if (yield from _belongs(person, root, passed)):
            persons.append(person)
    aliases = {alias for person in persons for alias in person.aliases}
    own = list(dict.fromkeys(map(fragment_of, sorted(aliases, key=_strongest_first))))
    rows, beyond = yield from _with_room(_places(own, root.accounts, accounts))
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


def _with_room(
    places: Sequence[Ref[StateRow]],
) -> Reading[tuple[list[StateRow], tuple[Ref[StateRow], ...]]]:
    """The first rows that exist, and the places beyond them."""
    rows: list[StateRow] = []
    for start in range(0, min(len(places), LOOKED_AT), KEPT_ROWS):
        some = places[start : start + KEPT_ROWS]
        found = yield some
        for at, place in enumerate(some, start):
            if place in found:
                rows.append(found[place])
                if len(rows) == KEPT_ROWS:
                    return rows, tuple(places[at + 1 :])
    return rows, tuple(places[LOOKED_AT:])


def _live_persons(fragments: Iterable[str]) -> Reading[list[PersonRow]]:
    """The persons that these fragments lead to, each once, by id; tombstones are followed."""
    live: dict[str, PersonRow] = {}
    seen: set[str] = set()
    ahead = set(fragments)
    while ahead:
        seen |= ahead
        refs = [PersonRow.ref_to(fragment) for fragment in sorted(ahead)]
        found = yield refs
        following: set[str] = set()
        for fragment, ref in zip(sorted(ahead), refs, strict=True):
            row = found.get(ref) or PersonRow(
                fragment=fragment, subject=fragment, aliases=(f"#{fragment}",)
            )
            if row.merged_into is None:
                live[fragment] = row
            else:
                following.add(row.merged_into)
        ahead = following - seen
    return [live[fragment] for fragment in sorted(live)]


def _belongs(person: PersonRow, root: SubjectRow, passed: tuple[str, ...]) -> Reading[bool]:
    """Whether the person's subject is this one by now: a merge may have taken it elsewhere."""
    if person.subject in (root.subject, *root.absorbed, *passed):
        return True
    now, _ = yield from tracing(person.subject)
    return now.subject == root.subject


def _accounts(keys: Sequence[str]) -> Reading[dict[str, AccountRow]]:
    if not keys:
        return {}
    found = yield [AccountRow.ref_to(key) for key in keys]
    return {row.account: row for key in keys if (row := found.get(AccountRow.ref_to(key)))}


def _places(
    own: Sequence[str], keys: Sequence[str], accounts: Mapping[str, AccountRow]
) -> list[Ref[StateRow]]:
    """Where the subject's own fragments may have been counted, then where others have that named
    its accounts. A fragment is noted with an account before it is counted there, so nothing is
    looked for where no note is; an account that is full notes nobody any more."""
    named = {key: frozenset(row.fragments) for key, row in accounts.items()}

    def may_be_counted(fragment: str, account: str) -> bool:
        noted = named.get(account)
        return noted is None or fragment in noted or len(noted) >= NOTED_FRAGMENTS

    places = [
        StateRow.ref_to(fragment, account)
        for fragment in own
        for account in (NO_ACCOUNT, *keys)
        if may_be_counted(fragment, account)
    ]
    others = ((key, sorted(noted.difference(own))) for key, noted in named.items())
    return places + [StateRow.ref_to(fragment, key) for key, noted in others for fragment in noted]


def _everywhere(store: Store, view: SubjectView) -> JourneyState:
    counted = {NO_ACCOUNT, *view.root.accounts}
    elsewhere = [
        row.state
        for fragment in view.fragments
        for row in store.query(StateRow, StateRow.ref_to(fragment, NO_ACCOUNT).pk)
        if row.account not in counted
    ]
    without_room = [row.state for row in store.get_all(view.beyond).values()]
    return merge([view.state, *without_room, *elsewhere])
