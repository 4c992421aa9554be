"""Linking: the aliases of an event become one person, persons and accounts become subjects.

A decision is written in one transaction that puts or checks every row it rests on, so rows may be
remembered from earlier events; a conflict means that somebody else was faster, and the event is
looked at again. Each step is idempotent: a retry finds what the first try did.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from desireline.errors import ConflictError
from desireline.events import Alias, CanonicalEvent
from desireline.journey.view import trace_subject
from desireline.ports import Metrics, Store
from desireline.resolve import persons
from desireline.resolve.accounts import Accounts
from desireline.resolve.remembered import Remembered
from desireline.resolve.subjects import apart, older_first
from desireline.resolve.subjects import merged as merged_subjects
from desireline.rows import AliasRow, Check, EvidenceRow, PersonRow, Put, SubjectRow

ATTEMPTS = 40
ALIAS_ROWS_AT_ONCE = 80
ALIASES_AN_EVENT = 12
"""An event links its strongest ones: no person has that many ids at once, and with them a merge and
the evidence of all pairs fit into one transaction each."""
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
    """Links events. Remembers rows, and which combinations of aliases and accounts it has linked:
    links only grow, so what a stale memory names is a tombstone at worst, or the subject that a
    person of two groups has left; readers go on from there (`journey.view`)."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = Remembered(store)
        self._metrics = metrics
        self._accounts = Accounts(self._store, metrics)
        self._linked: OrderedDict[tuple[str, ...], Linked] = OrderedDict()

    def __call__(self, event: CanonicalEvent, *, replayed: bool = False) -> Linked:
        """Link the event's aliases and accounts; `replayed` goes into the rows that this writes.

        Raises RetryableError."""
        self._store.replaying = replayed
        memory = (
            *(alias.fragment for alias in event.aliases),
            *(f"{account.role}:{account.key}" for account in event.accounts),
        )
        linked = self._linked.get(memory)
        if linked is None:
            linked = self._linked[memory] = self._link(self._within_limit(event))
            if len(self._linked) > CACHED_LINKS:
                self._linked.popitem(last=False)
        else:
            self._linked.move_to_end(memory)
        return linked

    def _within_limit(self, event: CanonicalEvent) -> CanonicalEvent:
        if len(event.aliases) <= ALIASES_AN_EVENT:
            return event
        self._metrics.count("links_refused", reason="aliases_of_event")
        return event.model_copy(update={"aliases": event.aliases[:ALIASES_AN_EVENT]})

    def _link(self, event: CanonicalEvent) -> Linked:
        for attempt in range(ATTEMPTS):
            if attempt == ATTEMPTS // 2:
                self._store.forget()
            try:
                known = before = self._read(event)
                while self._join_next(event, known):
                    known = self._read(event)
                self._remember_pairs(event, before if attempt == 0 else known, known)
                self._shorten_paths(known)
                person = known[0].person
                subject = self._accounts(event, person)
            except ConflictError:
                continue
            return Linked(person.fragment, subject)
        raise ConflictError(f"identity rows changed {ATTEMPTS} times while an event was linked")

    def _read(self, event: CanonicalEvent) -> list[_Known]:
        self._store.get_all([AliasRow.at(alias.type, alias.fragment) for alias in event.aliases])
        rows = [(alias, self._alias_row(alias)) for alias in event.aliases]
        self._store.get_all([PersonRow.at(row.root) for _, row in rows])
        return [
            _Known(alias, row, self._live_person(row.root, alias, event.received_at))
            for alias, row in rows
        ]

    def _alias_row(self, alias: Alias) -> AliasRow:
        stored = self._store.get(AliasRow.at(alias.type, alias.fragment))
        return stored or AliasRow(type=alias.type, fragment=alias.fragment, root=alias.fragment)

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
        aliases = self._repointed(loser, winner)
        self._store.write(
            Put(survivor),
            Put(tombstone),
            *subject_writes,
            *aliases,
            *self._still_unambiguous(event, aliases),
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

    def _still_unambiguous(self, event: CanonicalEvent, written: Sequence[Put]) -> list[Check]:
        """The event's alias rows, where the merge does not write them: the one that links must not
        have become ambiguous since it was read."""
        rows = [self._alias_row(alias) for alias in event.aliases]
        refs = {put.row.ref for put in written}
        return [Check(row) for row in rows if row.ref not in refs]

    def _mark_ambiguous(self, first: _Known, other: _Known) -> None:
        """Two people share this alias: it never links again, and neither is certain any more.

        Both persons are written even if they were marked before: whoever is about to merge one of
        them over this alias must see a conflict.
        """
        both = [Put(one.but(ambiguous=True)) for one in (first.person, other.person)]
        self._store.write(Put(other.row.but(ambiguous=True)), *both)
        self._metrics.count("aliases_ambiguous")

    def _remember_pairs(
        self, event: CanonicalEvent, before: Sequence[_Known], known: Sequence[_Known]
    ) -> None:
        """Evidence for every pair of aliases that the event joins, whether or not it merged
        them: a split needs every edge, not only a spanning forest. Pairs that were two persons
        before are new, so nobody looks; a conflict brings us here again."""
        pairs = {
            persons.edge_of(known[i].alias.fragment, known[j].alias.fragment): (i, j)
            for i, j in combinations(range(len(known)), 2)
        }
        unsure = [
            EvidenceRow.at(edge)
            for edge, (i, j) in pairs.items()
            if not _joined(before, known, i, j)
        ]
        stored = self._store.get_all(unsure)
        new = [
            Put(_evidence(event, edge, known[i], known[j]))
            for edge, (i, j) in pairs.items()
            if EvidenceRow.at(edge) not in stored
        ]
        if new:
            self._store.write(*new)

    def _shorten_paths(self, known: Sequence[_Known]) -> None:
        """Point alias rows that a large merge had no room for to the live person. Only a saving:
        tombstones lead there too."""
        for one in known:
            if one.row.root != one.person.fragment:
                self._store.write(Put(one.row.but(root=one.person.fragment)))


def _with_persons(subject: SubjectRow, roots: Sequence[str], at: int) -> SubjectRow:
    return subject.but(
        persons=tuple(sorted({*subject.persons, *roots})), created=min(subject.created or at, at)
    )


def _joined(before: Sequence[_Known], known: Sequence[_Known], i: int, j: int) -> bool:
    """Whether these two of the event's aliases were two persons before, and are one now."""
    were_apart = before[i].person.fragment != before[j].person.fragment
    return were_apart and known[i].person.fragment == known[j].person.fragment


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
