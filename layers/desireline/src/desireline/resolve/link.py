"""Linking: the aliases of an event become one person, persons and accounts become subjects.

Everything is read, decided and written in one transaction that is conditioned on every row the
decision rests on; a conflict means that somebody else was faster, and the event is looked at again.
Each step is idempotent: a retry finds what the first try did.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from desireline.errors import ConflictError
from desireline.events import Alias, CanonicalEvent
from desireline.journey.view import trace_subject
from desireline.ports import Metrics, Store
from desireline.resolve import persons
from desireline.resolve.accounts import Accounts
from desireline.resolve.subjects import apart, older_first
from desireline.resolve.subjects import merged as merged_subjects
from desireline.rows import AliasRow, Check, EvidenceRow, PersonRow, Put, SubjectRow

ATTEMPTS = 40
ALIAS_ROWS_AT_ONCE = 80
CACHED_LINKS = 20_000


@dataclass(frozen=True, slots=True)
class Linked:
    """Whose event it is. Both may be tombstones by the time they are read: follow them."""

    person: str
    subject: str


@dataclass(frozen=True, slots=True)
class _Known:
    """An alias of the event with its row and the live person that it leads to."""

    alias: Alias
    row: AliasRow
    person: PersonRow


class Link:
    """Links events. Remembers which combinations of aliases and accounts it has linked: links
    only grow, so a stale memory names a tombstone at worst."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._accounts = Accounts(store, metrics)
        self._linked: OrderedDict[tuple[str, ...], Linked] = OrderedDict()

    def __call__(self, event: CanonicalEvent) -> Linked:
        """Link the event's aliases and accounts. Raises RetryableError."""
        memory = (
            *(alias.fragment for alias in event.aliases),
            *(f"{account.role}:{account.key}" for account in event.accounts),
        )
        if memory not in self._linked:
            self._linked[memory] = self._link(event)
            if len(self._linked) > CACHED_LINKS:
                self._linked.popitem(last=False)
        return self._linked[memory]

    def _link(self, event: CanonicalEvent) -> Linked:
        for _ in range(ATTEMPTS):
            try:
                known = self._read(event)
                if self._join_next(event, known):
                    continue
                self._remember_pairs(event, known)
                person = known[0].person
                subject = self._accounts(event, person)
            except ConflictError:
                continue
            return Linked(person.fragment, subject)
        raise ConflictError(f"identity rows changed {ATTEMPTS} times while an event was linked")

    def _read(self, event: CanonicalEvent) -> list[_Known]:
        places = [AliasRow.at(alias.type, alias.fragment) for alias in event.aliases]
        rows = self._store.get_all(places)
        known = []
        for alias, place in zip(event.aliases, places, strict=True):
            row = rows.get(place) or AliasRow(
                type=alias.type, fragment=alias.fragment, root=alias.fragment
            )
            known.append(_Known(alias, row, self._live_person(row.root, alias, event.received_at)))
        return known

    def _live_person(self, root: str, alias: Alias, received_at: int) -> PersonRow:
        while True:
            row = self._store.get(PersonRow.at(root))
            if row is None:
                return persons.default_person(alias, received_at)
            if row.merged_into is None:
                return row
            root = row.merged_into

    def _join_next(self, event: CanonicalEvent, known: Sequence[_Known]) -> bool:
        """Join one more of the event's persons to that of its strongest alias, or mark the alias
        that must not join them. False when there is nothing left to do."""
        first = known[0]
        if first.row.ambiguous:
            return False
        for other in known[1:]:
            if other.person.fragment == first.person.fragment or other.row.ambiguous:
                continue
            obstacle = persons.obstacle(first.person, other.person)
            if not obstacle:
                self._merge(event, first.person, other.person)
                return True
            if obstacle == "conflict" and persons.may_be_ambiguous(other.alias):
                self._mark_ambiguous(first, other)
                return True
            self._metrics.count("links_refused", reason=obstacle)
        return False

    def _merge(self, event: CanonicalEvent, left: PersonRow, right: PersonRow) -> None:
        winner, loser = persons.winner_first(left, right)
        subject, subject_writes = self._merge_subjects(event, winner, loser)
        survivor, tombstone = persons.merged(winner, loser, subject)
        self._store.write(
            Put(survivor), Put(tombstone), *subject_writes, *self._repointed(loser, winner)
        )
        self._metrics.count("persons_merged")

    def _merge_subjects(
        self, event: CanonicalEvent, winner: PersonRow, loser: PersonRow
    ) -> tuple[str, list[Put | Check]]:
        """The subject of the merged person, and what has to be written for it."""
        ours, _ = trace_subject(self._store, winner.subject)
        theirs, _ = trace_subject(self._store, loser.subject)
        both = (winner.fragment, loser.fragment)
        if ours.subject == theirs.subject:
            return ours.subject, [Put(_with_persons(ours, both, event.received_at))]
        if apart(ours.accounts, theirs.accounts):
            self._metrics.count("subjects_kept_apart")
            return ours.subject, [Put(_with_persons(ours, both, event.received_at)), Check(theirs)]
        older, younger = older_first(ours, theirs)
        survivor, tombstone = merged_subjects(older, younger)
        return survivor.subject, [
            Put(_with_persons(survivor, both, event.received_at)),
            Put(tombstone),
        ]

    def _repointed(self, loser: PersonRow, winner: PersonRow) -> list[Put]:
        """The loser's alias rows with their new root; those beyond a transaction's room keep the
        old one, whose tombstone leads on."""
        places = {}
        for one in loser.aliases[:ALIAS_ROWS_AT_ONCE]:
            kind, _, fragment = one.partition("#")
            places[one] = (kind, fragment, AliasRow.at(kind, fragment))
        rows = self._store.get_all([place for _, _, place in places.values()])
        return [
            Put(
                (rows.get(place) or AliasRow(type=kind, fragment=fragment, root=fragment)).but(
                    root=winner.fragment
                )
            )
            for kind, fragment, place in places.values()
        ]

    def _mark_ambiguous(self, first: _Known, other: _Known) -> None:
        """Two people share this alias: it never links again, and neither is certain any more.

        Both persons are written even if they were marked before: whoever is about to merge one of
        them over this alias must see a conflict.
        """
        both = [Put(one.but(ambiguous=True)) for one in (first.person, other.person)]
        self._store.write(Put(other.row.but(ambiguous=True)), *both)
        self._metrics.count("aliases_ambiguous")

    def _remember_pairs(self, event: CanonicalEvent, known: Sequence[_Known]) -> None:
        """Evidence for every pair of aliases that the event joins, whether or not it merged
        them: a split needs every edge, not only a spanning forest."""
        by_edge = {
            persons.edge_of(left.alias.fragment, right.alias.fragment): (left, right)
            for i, left in enumerate(known)
            for right in known[i + 1 :]
        }
        stored = self._store.get_all([EvidenceRow.at(edge) for edge in by_edge])
        new = [
            Put(_evidence(event, edge, left, right))
            for edge, (left, right) in by_edge.items()
            if EvidenceRow.at(edge) not in stored
        ]
        if new:
            self._store.write(*new)


def _with_persons(subject: SubjectRow, roots: Sequence[str], at: int) -> SubjectRow:
    return subject.but(
        persons=tuple(sorted({*subject.persons, *roots})), created=min(subject.created or at, at)
    )


def _evidence(event: CanonicalEvent, edge: str, left: _Known, right: _Known) -> EvidenceRow:
    together = left.person.fragment == right.person.fragment
    return EvidenceRow(
        edge=edge,
        left=persons.listed(left.alias),
        right=persons.listed(right.alias),
        rule="same_event",
        event_id=event.event_id,
        occurred_at=event.occurred_at,
        roots=(left.person.fragment, right.person.fragment),
        merged=together,
        reason="" if together else persons.obstacle(left.person, right.person) or "ambiguous",
    )
