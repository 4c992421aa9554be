"""Why: a subject's events, the links that make it one, its score, each decision with its reason.

Links, score and decisions come out of the tables, events out of the warehouse, which is some
seconds behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from desireline.identity.find import UnknownSubjectError
from desireline.identity.view import SubjectView, read_subject
from desireline.ports import Store
from desireline.resolve.persons import edge_of, evidence_of
from desireline.rows import DecisionRow, EvidenceRow, JourneyRow, PersonRow, fragment_of

PHASES = ("start", "branch", "gate", "delivery", "end")
"""Of a decision, one after the other."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One event as the warehouse has it; `at` is when it occurred, epoch ms."""

    at: int
    name: str
    source: str
    alias: str
    fragment: str
    properties: str


class History(Protocol):
    """Where past events are looked up."""

    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        """Those of these fragments, or that name these accounts; by time, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of a subject."""

    view: SubjectView
    links: tuple[EvidenceRow, ...]
    journey: JourneyRow | None
    decisions: tuple[DecisionRow, ...]
    events: tuple[PastEvent, ...]


def explain(store: Store, history: History, subject: str) -> Explanation:
    """Raises UnknownSubjectError when nothing was ever counted or decided for it."""
    view = read_subject(store, subject, everywhere=True)
    family = (view.root.subject, *view.root.absorbed)
    decisions = [
        row for one in family for row in store.query(DecisionRow, DecisionRow.partition_key(one))
    ]
    if not view.absence.latest and not decisions:
        raise UnknownSubjectError(f"nothing is known of {subject}")
    return Explanation(
        view=view,
        links=_links(store, view),
        journey=store.get(JourneyRow.at(view.root.subject)),
        decisions=tuple(sorted(decisions, key=_place)),
        events=tuple(history.events(view.fragments, view.root.accounts)),
    )


def _place(row: DecisionRow) -> tuple[int, str, int, str]:
    """By time; what is decided at one time, in the order in which one thing led to the other."""
    return row.at, row.enrolment, PHASES.index(row.phase), row.sk


def _links(store: Store, view: SubjectView) -> tuple[EvidenceRow, ...]:
    """What merged these persons lies in the tombstones, other pairs in rows of their own."""
    aliases = [one for person in view.persons for one in person.aliases]
    past = store.get_all([PersonRow.at(fragment_of(alias)) for alias in aliases])
    edges = {
        edge_of(fragment_of(left), fragment_of(right))
        for person in view.persons
        for left in person.aliases
        for right in person.aliases
        if left < right
    }
    found = {
        row.edge: row for row in store.get_all(list(map(EvidenceRow.at, sorted(edges)))).values()
    }
    for tombstone in past.values():
        found |= {row.edge: row for row in evidence_of(tombstone)}
    return tuple(sorted(found.values(), key=lambda row: (row.occurred_at, row.edge)))
