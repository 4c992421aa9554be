"""Suppress persons: receive withholds their events, and no playbook sends to them.

Each suppressed alias has two rows: receive reads one by its time, and a playbook's gate looks up
the other. One transaction writes both. They hold the alias' fragment, never its value.
"""

from __future__ import annotations

from collections.abc import Iterable

from desireline.events import Alias, AliasType
from desireline.ports import Clock, Store
from desireline.rows import (
    AliasRow,
    PersonRow,
    Put,
    SuppressionLogRow,
    SuppressionRow,
    fragment_of,
)


def aliases_of(store: Store, alias_type: AliasType, fragment: str) -> list[str]:
    """Return the fragments of all stored aliases of a person. fragment: of one alias, comes first.

    Raises RetryableError."""
    fragments = [fragment]
    alias = store.get(AliasRow.ref_to(alias_type, fragment))
    root = alias.root if alias else fragment
    visited: set[str] = set()
    while root not in visited:
        visited.add(root)
        person = store.get(PersonRow.ref_to(root))
        if person is None:
            break
        fragments += [fragment_of(name) for name in person.aliases]
        root = person.merged_into or root
    return list(dict.fromkeys(fragments))


def suppress(store: Store, fragments: Iterable[str], *, reason: str, now: int) -> list[str]:
    """Suppress these aliases from now on. now: wall time, epoch ms. Return the newly suppressed.

    Raises ConflictError if another process writes the same rows at this moment."""
    done = []
    for fragment in fragments:
        row = store.get(SuppressionRow.ref_to(fragment))
        if row is None or row.lifted_at is not None:
            # The newest row holds, and the process that lifted it may have a clock ahead of ours.
            at = now if row is None else max(now, (row.lifted_at or row.at) + 1)
            suppressed = (row or SuppressionRow(target=fragment, reason=reason, at=at)).but(
                reason=reason, at=at, lifted_at=None
            )
            store.write(Put(suppressed), Put(SuppressionLogRow(target=fragment, at=at)))
            done.append(fragment)
    return done


def lift(store: Store, fragments: Iterable[str], *, now: int) -> list[str]:
    """Lift the suppression of these aliases. now: wall time, epoch ms. Return the lifted ones.

    Raises ConflictError if another process writes the same rows at this moment."""
    done = []
    for fragment in fragments:
        row = store.get(SuppressionRow.ref_to(fragment))
        if row is not None and row.lifted_at is None:
            at = max(now, row.at + 1)
            store.write(
                Put(row.but(lifted_at=at)),
                Put(SuppressionLogRow(target=fragment, at=at, lifted=True)),
            )
            done.append(fragment)
    return done


class Objections:
    """Suppresses persons whose data a sender had to delete by law. store: holds the tables identity
    and interventions. wall: the wall clock."""

    def __init__(self, store: Store, wall: Clock) -> None:
        self._store = store
        self._wall = wall

    def __call__(self, alias: Alias, source: str) -> None:
        """Suppress all stored aliases of the person with this alias. Repeating it changes nothing.

        Raises RetryableError."""
        fragments = aliases_of(self._store, alias.type, alias.fragment)
        suppress(self._store, fragments, reason=f"deleted at {source}", now=self._wall.now())


def holding(rows: Iterable[SuppressionLogRow]) -> dict[str, int]:
    """Return the suppressed fragments, each with its start in epoch ms. rows: ordered by time."""
    held: dict[str, int] = {}
    for row in rows:
        if row.lifted:
            held.pop(row.target, None)
        else:
            held[row.target] = row.at
    return held
