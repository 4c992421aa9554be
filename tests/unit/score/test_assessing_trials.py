"""Score, tier, stage, lifecycle and reasons by the rules of the product."""

import numpy as np
import pytest

from desireline.adapters.packaged_models import journey_model
from desireline.events import (
    Alias,
    AliasType,
    CanonicalEvent,
    Lifecycle,
    RawPointer,
    Stage,
    Tier,
)
from desireline.journey.state import DAY, EMPTY, fold
from desireline.score.assess import (
    LEAST_EFFECT,
    TIERS,
    TOP_REASONS,
    assess,
    assess_all,
    lifecycle_of,
    reasons,
    stage_of,
    tier_of,
)
from desireline.score.features import FEATURES, HOUR, vector
from desireline.score.phrases import PHRASES

SIGNUP = 20_000 * DAY + 9 * HOUR


@pytest.fixture(scope="module")
def model():
    return journey_model()


def event(name, after=0, who="ann"):
    at = SIGNUP + after
    return CanonicalEvent(
        event_id=f"{name}-{after}-{who}",
        name=name,
        category="any",
        source="segment",
        occurred_at=at,
        received_at=at,
        aliases=(Alias(type=AliasType.USER, value=who, fragment=f"{who}-fragment"),),
        raw=RawPointer(id="raw"),
    )


def state(*names):
    return fold(EMPTY, [event(*((name,) if isinstance(name, str) else name)) for name in names])


def keen():
    """A trial that does everything that pays, for five days."""
    daily = [
        (name, day * DAY + hour * HOUR)
        for day in range(5)
        for hour, name in enumerate(
            ("logged_in", "task_created", "task_completed", "report_viewed")
        )
    ]
    return state(
        "trial_signup",
        ("integration_connected", 3 * HOUR),
        ("project_created", 4 * HOUR),
        ("team_member_invited", DAY),
        ("invite_accepted", 2 * DAY, "bob"),
        ("automation_created", 2 * DAY),
        *daily,
    )


@pytest.mark.parametrize(
    ("score", "tier"),
    [
        (100, Tier.HOT),
        (90, Tier.HOT),
        (89, Tier.WARM),
        (70, Tier.WARM),
        (69, Tier.NURTURE),
        (40, Tier.NURTURE),
        (39, Tier.AT_RISK),
        (0, Tier.AT_RISK),
    ],
)
def test_tiers_begin_at_their_level(score, tier):
    assert tier_of(score) is tier


def test_every_score_has_a_tier():
    assert {tier_of(score) for score in range(101)} == {tier for _, tier in TIERS}


def test_before_a_trial_there_is_no_score(model):
    found = assess(model, state("page_viewed"), SIGNUP)

    assert (found.score, found.probability, found.tier) == (None, None, None)
    assert found.stage is Stage.AWARENESS
    assert found.lifecycle is Lifecycle.VISITOR
    assert reasons(model, state("page_viewed"), SIGNUP) == ()


@pytest.mark.parametrize("sign", ["pricing_page_viewed", "demo_requested", "signup_started"])
def test_interest_in_buying_is_active_evaluation(model, sign):
    assert assess(model, state("page_viewed", sign), SIGNUP).stage is Stage.EVALUATION


@pytest.mark.parametrize(
    ("age", "stage"),
    [
        (0, Stage.FIRST_ACTIONS),
        (3 * DAY - 1, Stage.FIRST_ACTIONS),
        (3 * DAY, Stage.HABIT),
        (8 * DAY - 1, Stage.HABIT),
        (8 * DAY, Stage.READINESS),
        (30 * DAY, Stage.READINESS),
    ],
)
def test_stages_of_a_trial_follow_its_age(age, stage):
    assert stage_of(state("trial_signup"), SIGNUP + age, 40, Lifecycle.TRIAL) is stage


@pytest.mark.parametrize(
    ("age", "score", "lifecycle", "at_risk"),
    [
        (2 * DAY, 39, Lifecycle.TRIAL, True),
        (2 * DAY - 1, 39, Lifecycle.TRIAL, False),
        (2 * DAY, 40, Lifecycle.TRIAL, False),
        (12 * DAY, 0, Lifecycle.TRIAL, True),
        (12 * DAY, 0, Lifecycle.CUSTOMER, False),
    ],
)
def test_a_low_score_is_a_risk_only_after_two_days_and_before_payment(
    age, score, lifecycle, at_risk
):
    stage = stage_of(state("trial_signup"), SIGNUP + age, score, lifecycle)

    assert (stage is Stage.AT_RISK) == at_risk


@pytest.mark.parametrize(
    ("names", "lifecycle"),
    [
        (("page_viewed",), Lifecycle.VISITOR),
        (("signup_started",), Lifecycle.LEAD),
        (("trial_signup",), Lifecycle.TRIAL),
        (("trial_signup", "trial_expired"), Lifecycle.TRIAL),
        (("trial_signup", "trial_to_paid_conversion"), Lifecycle.CUSTOMER),
        (("trial_to_paid_conversion",), Lifecycle.CUSTOMER),
        (("trial_to_paid_conversion", ("subscription_cancelled", 9)), Lifecycle.CHURNED),
        (("subscription_cancelled", ("trial_to_paid_conversion", 9)), Lifecycle.CUSTOMER),
    ],
)
def test_lifecycle_by_what_has_happened(names, lifecycle):
    assert lifecycle_of(state(*names)) is lifecycle


def test_the_score_is_the_probability_in_percent_rounded_down(model):
    found = assess(model, keen(), SIGNUP + 5 * DAY)

    assert found.score == int(100 * found.probability)
    assert found.model_version == model.version
    assert found.as_of == SIGNUP + 5 * DAY


def test_a_trial_that_does_what_pays_scores_hot_and_one_that_does_nothing_is_at_risk(model):
    assert assess(model, keen(), SIGNUP + 5 * DAY).tier is Tier.HOT

    idle = assess(model, state("trial_signup"), SIGNUP + 5 * DAY)

    assert (idle.tier, idle.stage) == (Tier.AT_RISK, Stage.AT_RISK)


def test_a_batch_gives_each_the_same_as_alone(model):
    moments = [
        (keen(), SIGNUP + 5 * DAY),
        (state("page_viewed"), SIGNUP),
        (state("trial_signup"), SIGNUP + DAY),
        (state("trial_signup", ("logged_in", HOUR)), SIGNUP + 6 * DAY),
    ]

    assert assess_all(model, moments) == [assess(model, *moment) for moment in moments]
    assert assess_all(model, []) == []


def test_reasons_name_behaviours_strongest_first(model):
    found = reasons(model, keen(), SIGNUP + 5 * DAY)

    effects = [abs(reason.effect) for reason in found]
    assert 0 < len(found) <= TOP_REASONS
    assert effects == sorted(effects, reverse=True)
    assert min(effects) >= LEAST_EFFECT
    assert "connected an integration within a day" in [reason.text for reason in found]
    assert "days_in_trial" not in [reason.feature for reason in found]


def test_reasons_name_what_was_left_undone(model):
    found = {
        reason.text: reason.effect
        for reason in reasons(model, state("trial_signup"), SIGNUP + 5 * DAY)
    }

    assert found["has not connected an integration"] < 0


def test_effects_of_all_features_add_up_to_the_log_odds_of_the_score(model):
    values = np.array([vector(keen(), SIGNUP + 5 * DAY), vector(state("trial_signup"), SIGNUP)])

    effects = model.contributions(values).sum(axis=1)
    chances = model.probabilities(values)

    log_odds = np.log(chances / (1 - chances))
    assert log_odds[0] - log_odds[1] == pytest.approx(effects[0] - effects[1], abs=1e-9)


def test_every_behaviour_has_a_phrase_for_every_value():
    for feature in FEATURES:
        if feature.behaviour:
            texts = [PHRASES[feature.name](value) for value in (0.0, 0.4, 1.0, 2.0, 50.0, 100.0)]
            assert all(texts), feature.name
    assert PHRASES["hours_since_active"](float("nan")) == "has never used the product"
    assert PHRASES["usage_trend"](float("nan")) == "has no usage to compare yet"
