"""Scoring reads less where links follow tombstones and the root is found before its state is read.
The scores and decisions are the same as without either."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bench.company_pipeline import Pipeline
from desireline.adapters.memory import MemoryStore
from desireline.identity.view import viewing
from desireline.resolve.link import Link
from desireline.rows import JourneyRow, PersonRow, Ref, StateRow, SubjectRow
from desireline.score import score_journey as scoring
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import canonical
from desireline_local.demo.drive import drive
from desireline_local.demo.in_memory import InMemoryPipeline
from tests.worlds.scoring import event, folded, merge_subjects, resolved, use_case

COMPANY = Company(Scenario(trials=8, days=14.0, seed=7))
DAY = 86_400_000


class CountedStore(MemoryStore):
    """Counts the rows that are read, by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.read: Counter[type] = Counter()

    def get(self, ref: Ref[Any]) -> Any:
        self.read[ref.type] += 1
        return super().get(ref)

    def get_all(self, refs: Any) -> Any:
        self.read.update(ref.type for ref in dict.fromkeys(refs))
        return super().get_all(refs)


def read_everything(patch: pytest.MonkeyPatch) -> None:
    """Scoring as it would be if it read the whole view of each subject on the way to the root."""

    def knowing(subject: str) -> Any:
        while True:
            ref = JourneyRow.ref_to(subject)
            row = (yield [ref]).get(ref)
            view = yield from viewing(subject)
            if view.root.subject == subject:
                return scoring._Journey(subject, row, view.state)
            subject = view.root.subject

    patch.setattr(scoring, "_reading_journey", knowing)
    patch.setattr(Link, "_followed", lambda self, linked: linked)


def live_scores(store: MemoryStore) -> dict[str, Any]:
    """The score of each live subject, with when and why."""
    return {
        row.subject: (row.current, row.reasons)
        for row in store.rows.values()
        if isinstance(row, JourneyRow)
        and not ((root := store.get(SubjectRow.ref_to(row.subject))) and root.merged_into)
    }


def test_the_state_of_a_tombstone_is_not_read() -> None:
    store = CountedStore()
    signup, visit = event("trial_signup", who="ann"), event("page_viewed", 1, who="home")
    folded(store, signup, visit)
    merge_subjects(store, "ann", "home")
    score = use_case(store)
    store.read.clear()
    score([resolved(signup)])
    alone, store.read = store.read, Counter()

    score([resolved(visit, subject="home")])

    assert store.read[StateRow] == alone[StateRow]
    assert store.read[PersonRow] == alone[PersonRow]


@pytest.mark.parametrize("batch", [1, 10, 100])
def test_fewer_reads_give_the_same_scores(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event for event, _ in canonical(COMPANY)]
    pipeline = Pipeline()
    pipeline.run(events, batch=batch)

    read_everything(monkeypatch)
    whole = Pipeline()
    whole.run(events, batch=batch)

    assert live_scores(pipeline.store) == live_scores(whole.store)
    assert pipeline.reads < 0.75 * whole.reads


def test_fewer_reads_give_the_same_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    def decisions() -> list[Any]:
        pipeline = InMemoryPipeline(namespace=b"any", start=COMPANY.scenario.start)
        until = COMPANY.scenario.start + 28 * DAY
        drive(pipeline, COMPANY.deliveries, until=until)
        return pipeline.decisions()

    fewer = decisions()
    read_everything(monkeypatch)

    assert fewer
    assert fewer == decisions()
