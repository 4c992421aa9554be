"""Assess a journey state: score, tier, stage, lifecycle, and the reasons of the score.

The stage of a trial depends on its age: first actions on days 0 to 2, habit on days 3 to 7, and
readiness from day 8. It is at risk if the score is below AT_RISK_BELOW and the trial is older than
AT_RISK_AFTER. In the first hours every score is low, so a low one means little. Before a trial, a
subject is in awareness. It is in evaluation after an event of EVALUATION_SIGNS.

The score is the probability of conversion in percent, rounded down, so 90 means at least 0.90. It
exists from the trial's signup on, also after the trial's end. The lifecycle tells who has paid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from desireline.events import Assessment, Lifecycle, Reason, Stage, Tier
from desireline.journey.crossings import crossings
from desireline.journey.state import DAY, JourneyState
from desireline.plan.event_names import EventName
from desireline.score.features import (
    CONVERSION,
    FEATURES,
    TRIAL_START,
    matrix,
    trial_start,
    vector,
)
from desireline.score.models.package import Model
from desireline.score.phrases import PHRASES

__all__ = [
    "assess",
    "assess_all",
    "crossings",
    "lifecycle_of",
    "reasons",
    "stage_of",
    "tier_of",
]

TIERS = ((90, Tier.HOT), (70, Tier.WARM), (40, Tier.NURTURE), (0, Tier.AT_RISK))
AT_RISK_BELOW = 40
AT_RISK_AFTER = 2 * DAY
TOP_REASONS = 5
LEAST_EFFECT = 0.05
"""The least effect of a reason, in log-odds. It changes the score by at most about one point."""

EVALUATION_SIGNS = (
    EventName.PRICING_PAGE_VIEWED,
    EventName.COMPARISON_PAGE_VIEWED,
    EventName.INTEGRATION_PAGE_VIEWED,
    EventName.CASE_STUDY_VIEWED,
    EventName.ROI_CALCULATOR_USED,
    EventName.DEMO_VIDEO_WATCHED,
    EventName.DEMO_REQUESTED,
    EventName.SIGNUP_STARTED,
)
LEAD_SIGNS = (
    EventName.FORM_SUBMITTED,
    EventName.DEMO_REQUESTED,
    EventName.CONTENT_DOWNLOADED,
    EventName.WEBINAR_REGISTERED,
    EventName.SIGNUP_STARTED,
    EventName.CONTACT_CREATED,
)


def assess(model: Model, state: JourneyState, now: int) -> Assessment:
    """Assess a state as of `now` (epoch ms) with the model and the rules."""
    return assess_all(model, [(state, now)])[0]


def assess_all(model: Model, moments: Sequence[tuple[JourneyState, int]]) -> list[Assessment]:
    """Assess many (state, now) in one call of the model. Each result equals that of `assess`."""
    trials = [index for index, (state, _) in enumerate(moments) if state.happened(TRIAL_START)]
    chances: dict[int, float] = {}
    if trials:
        probabilities = model.probabilities(matrix([moments[index] for index in trials]))
        chances = dict(zip(trials, probabilities.tolist(), strict=True))
    return [
        _assessment(model, state, now, chances.get(index))
        for index, (state, now) in enumerate(moments)
    ]


def reasons(model: Model, state: JourneyState, now: int) -> tuple[Reason, ...]:
    """Return the TOP_REASONS behaviours with the largest effect on the score, largest first.

    Effects are Shapley values in log-odds. The effects of all features and the model's average add
    up to the log-odds of the probability. Before a trial there are no reasons.
    """
    if not state.happened(TRIAL_START):
        return ()
    values = vector(state, now)
    effects = model.contributions(np.array([values]))[0].tolist()
    result = [
        Reason(
            feature=feature.name,
            value=None if math.isnan(value) else value,
            effect=effect,
            text=PHRASES[feature.name](value),
        )
        for feature, value, effect in zip(FEATURES, values, effects, strict=True)
        if feature.behaviour and abs(effect) >= LEAST_EFFECT
    ]
    result.sort(key=lambda reason: (-abs(reason.effect), reason.feature))
    return tuple(result[:TOP_REASONS])


def tier_of(score: int) -> Tier:
    """Return the tier of a score of 0 to 100."""
    return next(tier for least, tier in TIERS if score >= least)


def lifecycle_of(state: JourneyState) -> Lifecycle:
    """Return the lifecycle of a state. An expired trial remains a trial until someone pays."""
    if state.happened(CONVERSION):
        cancelled = state.last.get(EventName.SUBSCRIPTION_CANCELLED)
        left = cancelled is not None and cancelled > state.last[CONVERSION]
        return Lifecycle.CHURNED if left else Lifecycle.CUSTOMER
    if state.happened(TRIAL_START):
        return Lifecycle.TRIAL
    return Lifecycle.LEAD if any(map(state.happened, LEAD_SIGNS)) else Lifecycle.VISITOR


def stage_of(state: JourneyState, now: int, score: int | None, lifecycle: Lifecycle) -> Stage:
    """Return the stage as of `now` (epoch ms). A customer's trial is never at risk."""
    if not state.happened(TRIAL_START):
        interested = any(map(state.happened, EVALUATION_SIGNS))
        return Stage.EVALUATION if interested else Stage.AWARENESS
    age = now - trial_start(state)
    at_risk = score is not None and score < AT_RISK_BELOW and age >= AT_RISK_AFTER
    if at_risk and lifecycle is Lifecycle.TRIAL:
        return Stage.AT_RISK
    if age < 3 * DAY:
        return Stage.FIRST_ACTIONS
    return Stage.HABIT if age < 8 * DAY else Stage.READINESS


def _assessment(
    model: Model, state: JourneyState, now: int, probability: float | None
) -> Assessment:
    score = None if probability is None else min(100, math.floor(100 * probability))
    lifecycle = lifecycle_of(state)
    return Assessment(
        as_of=now,
        score=score,
        probability=probability,
        tier=None if score is None else tier_of(score),
        stage=stage_of(state, now, score, lifecycle),
        lifecycle=lifecycle,
        model_version=model.version,
    )
