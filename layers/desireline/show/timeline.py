"""Read the timeline of a subject: its events, links, score, and each decision with its reason.

The tables hold the links, the score and the decisions. The warehouse holds the events, and is some
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
"""The phases of decisions, in their order within one moment."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One event in the warehouse; `at` is the time at which it occurred, epoch ms."""

    at: int
    name: str
    source: str
    alias: str
    fragment: str
    properties: str


class History(Protocol):
    """The port to past events."""

    def events(self, fragments: Sequence[str], accounts: Sequence[str]) -> list[PastEvent]:
        """Return the events of these fragments or accounts, by time, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline of a subject: its view, links, score, decisions and events."""

    view: SubjectView
    links: tuple[EvidenceRow, ...]
    journey: JourneyRow | None
    decisions: tuple[DecisionRow, ...]
    events: tuple[PastEvent, ...]


def read_timeline(store: Store, history: History, subject: str) -> Timeline:
    """Read the timeline of a subject.

    Raises UnknownSubjectError if the tables hold no counted event and no decision of it."""
    view = read_subject(store, subject, everywhere=True)
    family = (view.root.subject, *view.root.absorbed)
    ledgers = (store.query(DecisionRow, DecisionRow.partition_key(name)) for name in family)
    decisions = [row for ledger in ledgers for row in ledger]
    if not view.absence.latest and not decisions:
        raise UnknownSubjectError(f"no data about the subject {subject}: check its id")
    return Timeline(
        view=view,
        links=_links(store, view),
        journey=store.get(JourneyRow.ref_to(view.root.subject)),
        decisions=tuple(sorted(decisions, key=_decision_order)),
        events=tuple(history.events(view.fragments, view.root.accounts)),
    )


def _decision_order(row: DecisionRow) -> tuple[int, str, int, str]:
    """Return the sort key of a decision: time, then enrolment, then phase."""
    return row.at, row.enrolment, PHASES.index(row.phase), row.sk


def _links(store: Store, view: SubjectView) -> tuple[EvidenceRow, ...]:
    """Read the links between the persons' aliases, by time.

    The tombstones hold the evidence of merges. Other pairs of aliases have rows of their own."""
    aliases = [alias for person in view.persons for alias in person.aliases]
    past = store.get_all([PersonRow.ref_to(fragment_of(alias)) for alias in aliases])
    edges = {
        edge_of(fragment_of(left), fragment_of(right))
        for person in view.persons
        for left in person.aliases
        for right in person.aliases
        if left < right
    }
    evidence = {
        row.edge: row
        for row in store.get_all(list(map(EvidenceRow.ref_to, sorted(edges)))).values()
    }
    for tombstone in past.values():
        evidence |= {row.edge: row for row in evidence_of(tombstone)}
    return tuple(sorted(evidence.values(), key=lambda row: (row.occurred_at, row.edge)))
