"""Suppress: of whom nothing is taken any more, and nothing is sent to.

Two rows for each alias: one that receive reads by its time, one that a playbook's gate looks up.
Both are written in one transaction, and hold the alias' fragment, never its value.
"""

from __future__ import annotations

from collections.abc import Iterable

from desireline.events import Alias, AliasType
from desireline.ports import Clock, Store
from desireline.rows import AliasRow, EdgeSuppressionRow, PersonRow, Put, SuppressionRow


def aliases_of(store: Store, alias_type: AliasType, fragment: str) -> list[str]:
    """The fragments of all aliases that are known of the person with this one, itself first."""
    found = [fragment]
    alias = store.get(AliasRow.at(alias_type, fragment))
    root = alias.root if alias else fragment
    seen: set[str] = set()
    while root not in seen:
        seen.add(root)
        person = store.get(PersonRow.at(root))
        if person is None:
            break
        found += [one.partition("#")[2] for one in person.aliases]
        root = person.merged_into or root
    return list(dict.fromkeys(found))


def suppress(store: Store, fragments: Iterable[str], *, reason: str, now: int) -> list[str]:
    """From now on (wall time) nothing of these aliases is taken. Returns those that were not
    suppressed before. Raises ConflictError when somebody else does the same at this moment."""
    done = []
    for fragment in fragments:
        row = store.get(SuppressionRow.place(fragment))
        if row is None or row.lifted_at is not None:
            # Whoever lifted it may have had a clock that was ahead: the newest holds.
            at = now if row is None else max(now, (row.lifted_at or row.at) + 1)
            again = (row or SuppressionRow(who=fragment, reason=reason, at=at)).but(
                reason=reason, at=at, lifted_at=None
            )
            store.write(Put(again), Put(EdgeSuppressionRow(who=fragment, at=at)))
            done.append(fragment)
    return done


def lift(store: Store, fragments: Iterable[str], *, now: int) -> list[str]:
    """The opposite. Returns those that were suppressed before."""
    done = []
    for fragment in fragments:
        row = store.get(SuppressionRow.place(fragment))
        if row is not None and row.lifted_at is None:
            at = max(now, row.at + 1)
            store.write(
                Put(row.but(lifted_at=at)),
                Put(EdgeSuppressionRow(who=fragment, at=at, lifted=True)),
            )
            done.append(fragment)
    return done


class Objections:
    """Suppresses whom a sender reports as deleted by law. store: identity and interventions; wall:
    the wall clock."""

    def __init__(self, store: Store, wall: Clock) -> None:
        self._store = store
        self._wall = wall

    def __call__(self, alias: Alias, source: str) -> None:
        """All aliases that are known of the person with this one; a repetition changes nothing.

        Raises RetryableError."""
        found = aliases_of(self._store, alias.type, alias.fragment)
        suppress(self._store, found, reason=f"deleted at {source}", now=self._wall.now())


def holding(rows: Iterable[EdgeSuppressionRow]) -> dict[str, int]:
    """Who is suppressed and since when, by the rows in the order of their time."""
    held: dict[str, int] = {}
    for row in rows:
        if row.lifted:
            held.pop(row.who, None)
        else:
            held[row.who] = row.at
    return held
