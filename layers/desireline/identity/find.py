"""Find persons and subjects by an identifier: 'user:ada', an email address or 'group:acme'."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.events import Alias, AliasType
from desireline.identity.aliases import Fragments
from desireline.identity.view import read_subject
from desireline.ports import Store
from desireline.rows import AccountRow, PersonRow, fragment_of

ACCOUNT_KEYS = ("group", "cus", "crm")
"""The prefixes of account keys."""


class UnknownSubjectError(Exception):
    """The tables hold no data about the requested person or account."""


def parse_alias(text: str) -> tuple[AliasType, str] | None:
    """Parse 'user:ada' or a bare email address into an alias's type and value; None if it is
    neither."""
    kind, _, value = text.partition(":")
    if "@" in text and not value:
        return AliasType.EMAIL, text
    return (AliasType(kind), value) if value and kind in set(AliasType) else None


def alias_of(fragments: Fragments, text: str) -> Alias | None:
    """Return the alias that the text names; None if the text is not a valid alias."""
    parsed = parse_alias(text)
    return fragments.alias(*parsed) if parsed else None


def subject_of(store: Store, fragments: Fragments, text: str) -> str:
    """Return the id of the subject of a person ('user:…', an email address) or of an account
    ('group:…'); any other text is returned as a subject's id. Raises UnknownSubjectError."""
    if text.partition(":")[0] in ACCOUNT_KEYS:
        account = store.get(AccountRow.ref_to(text))
        if account is None:
            raise UnknownSubjectError(f"unknown account {text}: check its key")
        return account.subject
    if parse_alias(text) is None:
        return text
    alias = alias_of(fragments, text)
    if alias is None:
        raise UnknownSubjectError(f"'{text}' is not a valid identifier: write user:ID or an email")
    person = _live_person(store, alias.fragment)
    return person.subject if person else alias.fragment


def fragments_of_subject(store: Store, fragments: Fragments, text: str) -> frozenset[str]:
    """Return the fragments of all persons in a subject. Raises UnknownSubjectError."""
    view = read_subject(store, subject_of(store, fragments, text), everywhere=True)
    if not view.root.version and not view.absence.latest:
        raise UnknownSubjectError(f"no data about {text}: check the identifier")
    return frozenset(view.fragments) | _own_fragment(fragments, text)


def fragments_of_person(store: Store, fragments: Fragments, text: str) -> frozenset[str]:
    """Return the fragments of a person, found by one of their aliases. The person need not have
    counted events. Raises UnknownSubjectError."""
    own = _own_fragment(fragments, text)
    if not own:
        raise UnknownSubjectError(f"'{text}' is not a valid alias: write user:ID or an email")
    return own | frozenset(_all_fragments(store, own))


def _own_fragment(fragments: Fragments, text: str) -> frozenset[str]:
    alias = alias_of(fragments, text)
    return frozenset([alias.fragment] if alias else ())


def _all_fragments(store: Store, own: Iterable[str]) -> Iterable[str]:
    for fragment in own:
        person = _live_person(store, fragment)
        if person is not None:
            yield from map(fragment_of, person.aliases)


def _live_person(store: Store, fragment: str) -> PersonRow | None:
    """Follow a fragment's tombstones to the live person; None if no event ever linked it."""
    row = store.get(PersonRow.ref_to(fragment))
    while row is not None and row.merged_into is not None:
        row = store.get(PersonRow.ref_to(row.merged_into))
    return row
