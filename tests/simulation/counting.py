"""Properties of persons, states, subjects and scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from desireline.contracts import Topic
from desireline.events import AliasType, CanonicalEvent, ChangeKind, IdentityChanged, ResolvedEvent
from desireline.identity.trace import trace_subject
from desireline.identity.view import read_subject
from desireline.journey.state import EMPTY, fold
from desireline.resolve.ids import id_hash, unpack
from desireline.rows import (
    AccountRow,
    JourneyRow,
    PersonRow,
    SealedIdsRow,
    StateRow,
    SubjectRow,
    fragment_of,
)
from desireline.score.assess import assess
from tests.simulation.oracle import Expected
from tests.simulation.scoring_model import QuickModel
from tests.simulation.tables import rows_of
from tests.simulation.world import World

Violation = tuple[str, str]
"""The property, and what breaks it."""


def person_root(world: World, fragment: str) -> str:
    """The live person of a fragment; one without rows is a person of its own."""
    while True:
        row = world.tables.get(PersonRow.ref_to(fragment))
        if row is None or row.merged_into is None:
            return fragment
        fragment = row.merged_into


def subject_root(world: World, fragment: str) -> str:
    """The live subject of the live person of a fragment."""
    root = person_root(world, fragment)
    row = world.tables.get(PersonRow.ref_to(root))
    return trace_subject(world.tables, row.subject if row else root)[0].subject


def account_root(world: World, account: str) -> str | None:
    """The live subject of an account."""
    row = world.tables.get(AccountRow.ref_to(account))
    return trace_subject(world.tables, row.subject)[0].subject if row else None


def counted_once(world: World, truth: Expected) -> Iterator[Violation]:
    """Each row has counted exactly the events that are its own, and holds what they amount to."""
    wanted: dict[tuple[str, str], list[CanonicalEvent]] = defaultdict(list)
    for event in truth.events:
        wanted[event.fragment, event.account_key].append(event)
    rows = {(row.fragment, row.account): row for row in rows_of(world.tables, StateRow)}
    known: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for row in rows.values():
        known[row.fragment, row.account] += [one for ids in unpack(row.ids).values() for one in ids]
    for sealed in rows_of(world.tables, SealedIdsRow):
        known[sealed.fragment, sealed.account] += [
            one for ids in unpack(sealed.ids).values() for one in ids
        ]
    for place in wanted.keys() | rows.keys():
        events = wanted[place]
        state = rows[place].state if place in rows else EMPTY
        if Counter(known[place]) != Counter(id_hash(event.event_id) for event in events):
            yield "ids", f"{place}: {len(known[place])} ids for {len(events)} events"
        if dict(state.counts) != dict(Counter(event.name for event in events)):
            yield "counted once", f"{place}: {dict(state.counts)}"
        elif not world.scenario.untimed and state != fold(EMPTY, events):
            yield "state", f"{place}: {state}"


def passed_on(world: World, truth: Expected) -> Iterator[Violation]:
    """Each event came out of resolve, at least once."""
    seen = {
        ResolvedEvent.decode(record.value or b"").event.event_id
        for record in world.topics.records(Topic.EVENTS_RESOLVED)
    }
    for event in truth.events:
        if event.event_id not in seen:
            yield "passed on", f"{event.name} {event.event_id}"


def persons(world: World, truth: Expected) -> Iterator[Violation]:
    """The partition of the evidence; with conflicts nothing merges that must not."""
    for together in truth.persons:
        roots = {person_root(world, fragment) for fragment in together}
        if world.scenario.exact and len(roots) > 1:
            yield "persons", f"{sorted(together)} have roots {sorted(roots)}"
    owner = {fragment: i for i, group in enumerate(truth.persons) for fragment in group}
    for row in rows_of(world.tables, PersonRow):
        if row.merged_into is not None:
            continue
        fragments = [fragment_of(alias) for alias in row.aliases]
        if len({owner[fragment] for fragment in fragments}) > 1:
            yield "persons apart", f"{row.fragment} has {fragments}"
        users = [alias for alias in row.aliases if alias.startswith(f"{AliasType.USER}#")]
        if len(users) > 1 or len(row.unique) > 1:
            yield "one user a person", f"{row.fragment} has {users}"
        for fragment in fragments:
            if person_root(world, fragment) != row.fragment:
                yield "aliases lead home", f"{fragment} of {row.fragment}"


def subjects(world: World, truth: Expected) -> Iterator[Violation]:
    """What is scored together; where owners have several accounts nothing joins that must not."""
    owner: dict[str, int] = {}
    for number, (members, events) in enumerate(truth.subjects):
        roots = {
            subject_root(world, name) if kind == "person" else account_root(world, name)
            for kind, name in members
        }
        if not world.scenario.exact:
            continue
        if len(roots) > 1 or None in roots:
            yield "subjects", f"{sorted(members)} have roots {roots}"
            continue
        root = str(roots.pop())
        if owner.setdefault(root, number) != number:
            yield "subjects apart", f"{root} is the subject of two"
        state = read_subject(world.tables, root).state
        if not world.scenario.untimed and state != fold(EMPTY, events):
            yield "subject's state", f"{root}: {dict(state.counts)} of {len(events)} events"
    for root in live_subjects(world, truth):
        groups = [a for a in trace_subject(world.tables, root)[0].accounts if a.startswith("group")]
        if len(groups) > 1:
            yield "one group a subject", f"{root}: {groups}"


def live_subjects(world: World, truth: Expected) -> list[str]:
    """All subjects that anybody or any account belongs to."""
    found = {subject_root(world, fragment) for group in truth.persons for fragment in group}
    for event in truth.events:
        for account in event.accounts:
            found.add(account_root(world, account.key) or "")
    return sorted(found - {""})


def every_row_has_a_subject(world: World, truth: Expected) -> Iterator[Violation]:
    """What was counted is scored with exactly one subject."""
    total: Counter[str] = Counter()
    for root in live_subjects(world, truth):
        total.update(read_subject(world.tables, root).state.counts)
    if total != Counter(event.name for event in truth.events):
        yield "each event in one subject", f"{sum(total.values())} of {len(truth.events)}"


def scores(world: World, truth: Expected) -> Iterator[Violation]:
    """The last score of each subject is that of its final state."""
    model = QuickModel()
    for root in live_subjects(world, truth):
        state = read_subject(world.tables, root).state
        row = world.tables.get(JourneyRow.ref_to(root))
        if not state.counts:
            continue
        if row is None:
            yield "scored", f"{root} has {dict(state.counts)} and no score"
            continue
        want = assess(model, state, state.latest)  # type: ignore[arg-type]
        got = row.current
        for name in ("score", "tier", "stage", "lifecycle"):
            if getattr(want, name) != getattr(got, name):
                yield "score", f"{root}: {name} {getattr(got, name)}, not {getattr(want, name)}"


def merges_are_announced(world: World, _: Expected) -> Iterator[Violation]:
    """Whoever keeps a map hears of every merge and adoption; of a person's also the subject that it
    left, which has to be scored again."""
    said = {
        (message.kind, message.subject, message.winner, message.loser)
        for message in (
            IdentityChanged.decode(record.value or b"")
            for record in world.topics.records(Topic.IDENTITY_CHANGED)
        )
    }
    for fact in _facts(world):
        if fact not in said:
            yield "merge not announced", f"{fact}"


def _facts(world: World) -> Iterator[tuple[ChangeKind, str, str, str]]:
    for written in world.tables.history:
        match written.old, written.new:
            case old, PersonRow(merged_into=str(winner)) as new:
                lost = old.subject if isinstance(old, PersonRow) else new.fragment
                yield ChangeKind.PERSON_MERGED, lost, winner, new.fragment
            case _, SubjectRow(merged_into=str(winner)) as new:
                yield ChangeKind.SUBJECT_MERGED, winner, winner, new.subject
            case old, AccountRow() as new:
                if not isinstance(old, AccountRow) or old.subject != new.subject:
                    yield ChangeKind.ACCOUNT_ADOPTED, new.subject, new.subject, new.account
                before = old.fragments if isinstance(old, AccountRow) else ()
                for fragment in set(new.fragments) - set(before):
                    yield ChangeKind.ACCOUNT_NAMED, new.subject, new.account, fragment


COUNTING = (
    counted_once,
    passed_on,
    persons,
    subjects,
    every_row_has_a_subject,
    scores,
    merges_are_announced,
)
