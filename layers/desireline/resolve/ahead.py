"""What linking the events of a batch will ask for, read level by level for all of them at once.

Linked one by one, each event would wait for four requests of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from desireline.events import CanonicalEvent
from desireline.ports import Store
from desireline.rows import AccountRow, AliasRow, PersonRow, SubjectRow


def read_ahead(store: Store, events: Sequence[CanonicalEvent]) -> None:
    """Read the rows of these events' aliases, persons, accounts and subjects, for a store that
    remembers them. What lies further on, behind more than one tombstone, is read when it is asked
    for. Raises what the store raises."""
    aliases = {alias.fragment: alias.type for event in events for alias in event.aliases}
    accounts = [account.key for event in events for account in event.accounts]
    rows = store.get_all([AliasRow.ref_to(kind, fragment) for fragment, kind in aliases.items()])
    roots = {**{one: one for one in aliases}, **{row.fragment: row.root for row in rows.values()}}
    persons = _persons(store, roots.values())
    persons |= _persons(store, [p.merged_into for p in persons.values() if p.merged_into])
    subjects = [person.subject for person in persons.values()]
    subjects += [root for root in roots.values() if root not in persons]
    named = store.get_all([AccountRow.ref_to(key) for key in dict.fromkeys(accounts)])
    subjects += [row.subject for row in named.values()]
    store.get_all([SubjectRow.ref_to(subject) for subject in dict.fromkeys(subjects)])


def _persons(store: Store, fragments: Iterable[str]) -> dict[str, PersonRow]:
    found = store.get_all([PersonRow.ref_to(fragment) for fragment in dict.fromkeys(fragments)])
    return {person.fragment: person for person in found.values()}
