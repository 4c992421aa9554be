"""Linking: the aliases of an event become one person, persons and accounts become subjects.

A decision is written in one transaction that puts or checks every row it rests on, so rows may be
remembered from earlier events; a conflict means that somebody else was faster, and the event is
looked at again. Each step is idempotent: a retry finds what the first try did.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

from desireline.errors import ConflictError, RetryableError, TerminalError
from desireline.events import Alias, CanonicalEvent
from desireline.identity.trace import trace_subject
from desireline.ports import Metrics, Store
from desireline.resolve import persons
from desireline.resolve.accounts import Accounts
from desireline.resolve.ahead import read_ahead
from desireline.resolve.remembered import Remembered
from desireline.resolve.subjects import apart, older_first
from desireline.resolve.subjects import merged as merged_subjects
from desireline.rows import AliasRow, Check, Evidence, EvidenceRow, PersonRow, Put, SubjectRow

ATTEMPTS = 40
ALIASES_AN_EVENT = 12
"""An event links its strongest ones: no person has that many ids at once, and with them the
evidence of all pairs fits into one transaction."""
TOMBSTONES_PASSED = 1
"""On the way from an alias to its person; where there are more, its row gets a shorter way."""
TOMBSTONES_FOLLOWED = 10
"""For an event that was linked before. Readers follow those that are left."""
CACHED_LINKS = 20_000


@dataclass(frozen=True, slots=True)
class Linked:
    """Whose event it is. Both may be tombstones by the time they are read: follow them."""

    person: str
    subject: str


@dataclass(frozen=True, slots=True)
class _Known:
    """An alias of the event with its row, the live person that it leads to, and the tombstones on
    the way."""

    alias: Alias
    row: AliasRow
    person: PersonRow
    passed: tuple[PersonRow, ...]


class Link:
    """Links events. Remembers rows, and which combinations of aliases and accounts it has linked:
    links only grow, so what a stale memory names is a tombstone at worst, or the subject that a
    person of two groups has left; readers go on from there (`identity.trace`). Tombstones that are
    remembered are followed here, which saves these readers a read for every event."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = Remembered(store)
        self._metrics = metrics
        self._accounts = Accounts(self._store, metrics)
        self._linked: OrderedDict[tuple[str, ...], Linked] = OrderedDict()

    def __call__(self, event: CanonicalEvent, *, replayed: bool = False) -> Linked:
        """Link the event's aliases and accounts; `replayed` goes into the rows that this writes.

        Raises RetryableError."""
        self._store.replaying = replayed
        memory = _memory_of(event)
        linked = self._linked.get(memory) or self._link(self._within_limit(event))
        linked = self._linked[memory] = self._followed(linked)
        self._linked.move_to_end(memory)
        if len(self._linked) > CACHED_LINKS:
            self._linked.popitem(last=False)
        return linked

    def look_ahead(self, events: Sequence[CanonicalEvent]) -> None:
        """Read at once what linking these events one by one would ask for. Only a saving: an event
        whose rows cannot be read now asks again, and fails alone."""
        new = [event for event in events if _memory_of(event) not in self._linked]
        with suppress(RetryableError, TerminalError):
            read_ahead(self._store, new)

    def _followed(self, linked: Linked) -> Linked:
        """Follow the tombstones that are remembered. A tombstone never lives again, so an old one
        leads the right way too."""
        for _ in range(TOMBSTONES_FOLLOWED):
            person = self._store.recall(PersonRow.ref_to(linked.person))
            subject = self._store.recall(SubjectRow.ref_to(linked.subject))
            following = Linked(
                (person and person.merged_into) or linked.person,
                (subject and subject.merged_into) or linked.subject,
            )
            if following == linked:
                break
            linked = following
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
                known = self._read(event)
                while self._join_next(event, known):
                    known = self._read(event)
                self._remember_pairs(event, known)
                self._shorten_paths(known)
                person = known[0].person
                subject = self._accounts(event, person)
            except ConflictError:
                continue
            return Linked(person.fragment, subject)
        raise ConflictError(f"identity rows changed {ATTEMPTS} times while an event was linked")

    def _read(self, event: CanonicalEvent) -> list[_Known]:
        self._store.get_all(
            [AliasRow.ref_to(alias.type, alias.fragment) for alias in event.aliases]
        )
        rows = [(alias, self._alias_row(alias)) for alias in event.aliases]
        self._store.get_all([PersonRow.ref_to(row.root) for _, row in rows])
        return [
            _Known(alias, row, *self._live_person(row.root, alias, event.received_at))
            for alias, row in rows
        ]

    def _alias_row(self, alias: Alias) -> AliasRow:
        stored = self._store.get(AliasRow.ref_to(alias.type, alias.fragment))
        return stored or AliasRow(type=alias.type, fragment=alias.fragment, root=alias.fragment)

    def _live_person(
        self, root: str, alias: Alias, received_at: int
    ) -> tuple[PersonRow, tuple[PersonRow, ...]]:
        passed: list[PersonRow] = []
        while True:
            row = self._store.get(PersonRow.ref_to(root))
            if row is None:
                return persons.default_person(alias, received_at), tuple(passed)
            if row.merged_into is None:
                return row, tuple(passed)
            passed.append(row)
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
                self._merge(event, known, first.person, other.person)
                return True
            if obstacle == "conflict" and persons.may_be_ambiguous(other.alias):
                self._mark_ambiguous(first, other)
                return True
            self._metrics.count("links_refused", reason=obstacle)
        return False

    def _merge(
        self, event: CanonicalEvent, known: Sequence[_Known], left: PersonRow, right: PersonRow
    ) -> None:
        winner, loser = persons.winner_first(left, right)
        subject, subject_writes = self._merge_subjects(event, winner, loser)
        evidence = _evidence_between(event, known, winner, loser)
        survivor, tombstone = persons.merged(winner, loser, subject, evidence)
        self._store.write(
            Put(survivor),
            Put(tombstone),
            *subject_writes,
            *self._still_unambiguous(event, winner, loser),
        )
        self._metrics.count("persons_merged")

    def _merge_subjects(
        self, event: CanonicalEvent, winner: PersonRow, loser: PersonRow
    ) -> tuple[str, list[Put | Check]]:
        """The subject of the merged person, and what has to be written for it."""
        ours, _ = trace_subject(self._store, winner.subject)
        theirs, _ = trace_subject(self._store, loser.subject)
        at = event.received_at
        if ours.subject == theirs.subject:
            return ours.subject, [Put(_of_winner(ours, winner, loser, at))]
        if apart(ours.accounts, theirs.accounts):
            self._metrics.count("subjects_kept_apart")
            return ours.subject, [Put(_of_winner(ours, winner, loser, at)), Check(theirs)]
        older, younger = older_first(ours, theirs)
        survivor, tombstone = merged_subjects(older, younger)
        return survivor.subject, [Put(_of_winner(survivor, winner, loser, at)), Put(tombstone)]

    def _still_unambiguous(self, event: CanonicalEvent, *both: PersonRow) -> list[Check]:
        """The event's alias rows, where one of them may have become ambiguous since it was read:
        whoever marks an alias marks its person, and both persons are written at the versions that
        were read."""
        if not any(person.ambiguous for person in both):
            return []
        return [Check(self._alias_row(alias)) for alias in event.aliases]

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
        them: a split needs every edge, not only a spanning forest. What merged two persons is in
        the tombstone; an edge whose tombstone a shortened way passes by is noted again."""
        told = {
            frozenset((one.left, one.right))
            for each in known
            for tombstone in each.passed
            for one in tombstone.evidence
        }
        rows = [
            _evidence_row(event, left, right)
            for left, right in combinations(known, 2)
            if frozenset((persons.listed(left.alias), persons.listed(right.alias))) not in told
        ]
        stored = self._store.get_all([row.ref for row in rows])
        new = [Put(row) for row in rows if row.ref not in stored]
        if new:
            self._store.write(*new)

    def _shorten_paths(self, known: Sequence[_Known]) -> None:
        """Point alias rows past tombstones to the live person. Only a saving: tombstones lead there
        too, and most aliases are one tombstone away for good."""
        for one in known:
            if len(one.passed) > TOMBSTONES_PASSED:
                self._store.write(Put(one.row.but(root=one.person.fragment)))


def _memory_of(event: CanonicalEvent) -> tuple[str, ...]:
    return (
        *(alias.fragment for alias in event.aliases),
        *(f"{account.role}:{account.key}" for account in event.accounts),
    )


def _of_winner(subject: SubjectRow, winner: PersonRow, loser: PersonRow, at: int) -> SubjectRow:
    """The subject with the winner in the loser's place."""
    return subject.but(
        persons=tuple(sorted({*subject.persons, winner.fragment} - {loser.fragment})),
        created=min(subject.created or at, at),
    )


def _evidence_between(
    event: CanonicalEvent, known: Sequence[_Known], winner: PersonRow, loser: PersonRow
) -> tuple[Evidence, ...]:
    """The pairs of the event's aliases that lie across two persons."""
    return tuple(
        _evidence(event, left, right)
        for left, right in combinations(known, 2)
        if {left.person.fragment, right.person.fragment} == {winner.fragment, loser.fragment}
    )


def _evidence(event: CanonicalEvent, left: _Known, right: _Known) -> Evidence:
    return Evidence(
        left=persons.listed(left.alias),
        right=persons.listed(right.alias),
        rule="same_event",
        event_id=event.event_id,
        occurred_at=event.occurred_at,
    )


def _evidence_row(event: CanonicalEvent, left: _Known, right: _Known) -> EvidenceRow:
    together = left.person.fragment == right.person.fragment
    return EvidenceRow(
        edge=persons.edge_of(left.alias.fragment, right.alias.fragment),
        **_evidence(event, left, right).model_dump(),
        roots=(left.person.fragment, right.person.fragment),
        merged=together,
        reason="" if together else persons.obstacle(left.person, right.person) or "ambiguous",
    )
