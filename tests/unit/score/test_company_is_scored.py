"""A simulated company through resolve and score: its scores equal those of the true journeys."""

import random
from collections import Counter

import pytest

from bench.company_pipeline import Pipeline
from desireline.events import Lifecycle, Tier
from desireline.journey.state import EMPTY, fold
from desireline.rows import AccountRow, JourneyRow, SubjectRow
from desireline.score.assess import assess
from desireline_learning.simulator import Company, Scenario
from desireline_learning.simulator.canonical import canonical
from tests.worlds.scoring import MODEL

COMPANY = Company(Scenario(trials=30, days=14.0, seed=7))


def root_of(store, account):
    subject = store.get(AccountRow.ref_to(f"group:{account}")).subject
    while (row := store.get(SubjectRow.ref_to(subject))).merged_into:
        subject = row.merged_into
    return row.subject


def current(store, account):
    return store.get(JourneyRow.ref_to(root_of(store, account))).current


def true_journey(account):
    return fold(EMPTY, [event for event, hint in canonical(COMPANY) if hint == account])


@pytest.fixture(scope="module")
def in_order():
    pipeline = Pipeline()
    pipeline.run([event for event, _ in canonical(COMPANY)], batch=10)
    return pipeline.store


@pytest.mark.parametrize("trial", COMPANY.truth.trials, ids=lambda trial: trial.account)
def test_every_trial_has_the_score_of_its_true_journey(in_order, trial):
    state = true_journey(trial.account)

    found, expected = current(in_order, trial.account), assess(MODEL, state, state.latest)

    assert (found.score, found.tier, found.stage, found.lifecycle) == (
        expected.score,
        expected.tier,
        expected.stage,
        expected.lifecycle,
    )


def test_any_arrival_order_ends_in_the_same_scores(in_order):
    events = [event for event, _ in canonical(COMPANY)]
    random.Random(3).shuffle(events)
    pipeline = Pipeline()
    pipeline.run(events + events[:200], batch=37)

    for trial in COMPANY.truth.trials:
        found, expected = (current(store, trial.account) for store in (pipeline.store, in_order))
        assert (found.score, found.stage) == (expected.score, expected.stage)


def test_the_demo_company_has_hot_leads_trials_at_risk_and_customers(in_order):
    found = [current(in_order, trial.account) for trial in COMPANY.truth.trials]
    tiers = Counter(assessment.tier for assessment in found)

    assert tiers[Tier.HOT] >= 2
    assert tiers[Tier.WARM] >= 2
    assert tiers[Tier.NURTURE] >= 3
    assert tiers[Tier.AT_RISK] >= 8
    assert sum(assessment.lifecycle is Lifecycle.CUSTOMER for assessment in found) >= 4
