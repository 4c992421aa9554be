"""Link: join an event's aliases to one person, and persons and accounts to subjects.

One transaction writes a decision. It puts or checks every row that the decision depends on, so
cached rows are safe. A conflict means that another process changed a row: linking then reads the
rows again. Every step is idempotent: a retry finds the writes of the first attempt.
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
from desireline.resolve.remembered import Remembered, prefetch
from desireline.resolve.subjects import in_different_groups, older_first
from desireline.resolve.subjects import merged as merged_subjects
from desireline.rows import AliasRow, Check, Evidence, EvidenceRow, PersonRow, Put, SubjectRow

ATTEMPTS = 40
ALIASES_AN_EVENT = 12
"""The most aliases of an event that are linked, strongest first. The evidence of all their pairs
fits into one transaction."""
TOMBSTONES_PASSED = 1
"""If more tombstones lie between an alias and its person, the alias row is set to the person."""
TOMBSTONES_FOLLOWED = 10
"""The most tombstones to follow for an event that is in the cache of links. Readers of the event
follow the rest."""
CACHED_LINKS = 20_000


@dataclass(frozen=True, slots=True)
class Linked:
    """The person and subject of an event. Both may be tombstones later, so readers follow them."""

    person: str
    subject: str


@dataclass(frozen=True, slots=True)
class _LinkedAlias:
    """An alias of the event, its row, its live person, and the tombstones passed on the way."""

    alias: Alias
    row: AliasRow
    person: PersonRow
    passed: tuple[PersonRow, ...]


class Link:
    """Links events. Caches rows, and the links of each combination of aliases and accounts.

    Links are only added. So a stale link names a tombstone, or the subject that a person of two
    groups has left. Readers follow both (`identity.trace`). `Link` follows the tombstones in its
    cache, which saves those readers one read for every event."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = Remembered(store)
        self._metrics = metrics
        self._accounts = Accounts(self._store, metrics)
        self._linked: OrderedDict[tuple[str, ...], Linked] = OrderedDict()

    def __call__(self, event: CanonicalEvent, *, replayed: bool = False) -> Linked:
        """Link the event's aliases and accounts. replayed: marks the rows that this call writes.

        Raises RetryableError."""
        self._store.replaying = replayed
        key = _cache_key(event)
        linked = self._linked.get(key) or self._link(self._within_limit(event))
        linked = self._linked[key] = self._followed(linked)
        self._linked.move_to_end(key)
        if len(self._linked) > CACHED_LINKS:
            self._linked.popitem(last=False)
        return linked

    def prefetch(self, events: Sequence[CanonicalEvent]) -> None:
        """Read the rows that linking these events needs, in few requests.

        If a request fails, each event reads its own rows, and fails alone."""
        new = [event for event in events if _cache_key(event) not in self._linked]
        with suppress(RetryableError, TerminalError):
            prefetch(self._store, new)

    def _followed(self, linked: Linked) -> Linked:
        """Follow the tombstones in the cache. No tombstone becomes live again, so none is wrong."""
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
                aliases = self._read(event)
                while self._join_next(event, aliases):
                    aliases = self._read(event)
                self._write_evidence(event, aliases)
                self._shorten_paths(aliases)
                person = aliases[0].person
                subject = self._accounts(event, person)
            except ConflictError:
                continue
            return Linked(person.fragment, subject)
        raise ConflictError(f"identity rows changed during {ATTEMPTS} attempts to link an event")

    def _read(self, event: CanonicalEvent) -> list[_LinkedAlias]:
        self._store.get_all(
            [AliasRow.ref_to(alias.type, alias.fragment) for alias in event.aliases]
        )
        rows = [(alias, self._alias_row(alias)) for alias in event.aliases]
        self._store.get_all([PersonRow.ref_to(row.root) for _, row in rows])
        return [
            _LinkedAlias(alias, row, *self._live_person(row.root, alias, event.received_at))
            for alias, row in rows
        ]

    def _alias_row(self, alias: Alias) -> AliasRow:
        """Return the alias's row, or a new one that makes the alias its own root."""
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

    def _join_next(self, event: CanonicalEvent, aliases: Sequence[_LinkedAlias]) -> bool:
        """Merge the strongest alias's person with one other person of the event. If the two must
        not merge, mark the other alias as ambiguous. Returns False if it wrote nothing."""
        first = aliases[0]
        if first.row.ambiguous:
            return False
        for other in aliases[1:]:
            if other.person.fragment == first.person.fragment or other.row.ambiguous:
                continue
            obstacle = persons.obstacle(first.person, other.person)
            if not obstacle:
                self._merge(event, aliases, first.person, other.person)
                return True
            if obstacle == "conflict" and persons.may_be_ambiguous(other.alias):
                self._mark_ambiguous(first, other)
                return True
            self._metrics.count("links_refused", reason=obstacle)
        return False

    def _merge(
        self,
        event: CanonicalEvent,
        aliases: Sequence[_LinkedAlias],
        left: PersonRow,
        right: PersonRow,
    ) -> None:
        winner, loser = persons.winner_first(left, right)
        subject, subject_writes = self._merge_subjects(event, winner, loser)
        evidence = _evidence_between(event, aliases, winner, loser)
        survivor, tombstone = persons.merged(winner, loser, subject, evidence)
        self._store.write(
            Put(survivor),
            Put(tombstone),
            *subject_writes,
            *self._check_unambiguous(event, winner, loser),
        )
        self._metrics.count("persons_merged")

    def _merge_subjects(
        self, event: CanonicalEvent, winner: PersonRow, loser: PersonRow
    ) -> tuple[str, list[Put | Check]]:
        """Return the id of the merged person's subject, and the writes that it needs."""
        ours, _ = trace_subject(self._store, winner.subject)
        theirs, _ = trace_subject(self._store, loser.subject)
        at = event.received_at
        if ours.subject == theirs.subject:
            return ours.subject, [Put(_of_winner(ours, winner, loser, at))]
        if in_different_groups(ours.accounts, theirs.accounts):
            self._metrics.count("subjects_kept_apart")
            return ours.subject, [Put(_of_winner(ours, winner, loser, at)), Check(theirs)]
        older, younger = older_first(ours, theirs)
        survivor, tombstone = merged_subjects(older, younger)
        return survivor.subject, [Put(_of_winner(survivor, winner, loser, at)), Put(tombstone)]

    def _check_unambiguous(self, event: CanonicalEvent, *both: PersonRow) -> list[Check]:
        """Return checks of the event's alias rows if one of the persons is marked ambiguous.

        Marking an alias also writes its person. So if neither person is marked, the merge's own
        puts of both persons detect a mark that another process adds."""
        if not any(person.ambiguous for person in both):
            return []
        return [Check(self._alias_row(alias)) for alias in event.aliases]

    def _mark_ambiguous(self, first: _LinkedAlias, other: _LinkedAlias) -> None:
        """Mark an alias that two persons share, and both persons. The alias never links again.

        Both persons are written even if they are marked already, so that a concurrent merge of one
        of them by this alias gets a conflict.
        """
        both = [Put(person.but(ambiguous=True)) for person in (first.person, other.person)]
        self._store.write(Put(other.row.but(ambiguous=True)), *both)
        self._metrics.count("aliases_ambiguous")

    def _write_evidence(self, event: CanonicalEvent, aliases: Sequence[_LinkedAlias]) -> None:
        """Write evidence rows for every pair of the event's aliases, whether or not it merged them.

        To split a person, an operator needs the evidence of all pairs. The tombstones that were
        passed hold the evidence of their own merges, so it gets no rows. A shortened path skips
        tombstones, and then their evidence gets rows too."""
        in_tombstones = {
            frozenset((evidence.left, evidence.right))
            for alias in aliases
            for tombstone in alias.passed
            for evidence in tombstone.evidence
        }
        rows = [
            _evidence_row(event, left, right)
            for left, right in combinations(aliases, 2)
            if frozenset((persons.listed(left.alias), persons.listed(right.alias)))
            not in in_tombstones
        ]
        stored = self._store.get_all([row.ref for row in rows])
        new = [Put(row) for row in rows if row.ref not in stored]
        if new:
            self._store.write(*new)

    def _shorten_paths(self, aliases: Sequence[_LinkedAlias]) -> None:
        """Set alias rows to the live person, to save reads of tombstones.

        A path of one tombstone stays: most aliases have one, and it never grows for most."""
        for alias in aliases:
            if len(alias.passed) > TOMBSTONES_PASSED:
                self._store.write(Put(alias.row.but(root=alias.person.fragment)))


def _cache_key(event: CanonicalEvent) -> tuple[str, ...]:
    return (
        *(alias.fragment for alias in event.aliases),
        *(f"{account.role}:{account.key}" for account in event.accounts),
    )


def _of_winner(subject: SubjectRow, winner: PersonRow, loser: PersonRow, at: int) -> SubjectRow:
    """Return the subject with the winner instead of the loser. at: received_at, epoch ms."""
    return subject.but(
        persons=tuple(sorted({*subject.persons, winner.fragment} - {loser.fragment})),
        created=min(subject.created or at, at),
    )


def _evidence_between(
    event: CanonicalEvent, aliases: Sequence[_LinkedAlias], winner: PersonRow, loser: PersonRow
) -> tuple[Evidence, ...]:
    """Return the pairs of the event's aliases of which each person has one."""
    return tuple(
        _evidence(event, left, right)
        for left, right in combinations(aliases, 2)
        if {left.person.fragment, right.person.fragment} == {winner.fragment, loser.fragment}
    )


def _evidence(event: CanonicalEvent, left: _LinkedAlias, right: _LinkedAlias) -> Evidence:
    return Evidence(
        left=persons.listed(left.alias),
        right=persons.listed(right.alias),
        rule="same_event",
        event_id=event.event_id,
        occurred_at=event.occurred_at,
    )


def _evidence_row(event: CanonicalEvent, left: _LinkedAlias, right: _LinkedAlias) -> EvidenceRow:
    same_person = left.person.fragment == right.person.fragment
    return EvidenceRow(
        edge=persons.edge_of(left.alias.fragment, right.alias.fragment),
        **_evidence(event, left, right).model_dump(),
        roots=(left.person.fragment, right.person.fragment),
        merged=same_person,
        reason="" if same_person else persons.obstacle(left.person, right.person) or "ambiguous",
    )
