"""From a journey state to an assessment: score, tier, stage, lifecycle, and the reasons.

Stages of a trial follow its age: first actions on days 0 to 2, habit on days 3 to 7, readiness from
day 8; at risk whenever the score is below 40 and the trial is older than AT_RISK_AFTER: nobody can
have done much in the first hours, so until then a low score says little. Before a trial a subject
is in awareness, and in evaluation once it has shown interest in buying.

The score is the probability of conversion in percent, rounded down, so that 90 means at least 0.90.
It exists from the trial's signup on, also after its end: whether someone has paid is the lifecycle.
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
"""Log-odds: a change of about one point of the score at most; less is no reason."""

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
    """What model and rules say of the state as of `now` (epoch ms)."""
    return assess_all(model, [(state, now)])[0]


def assess_all(model: Model, moments: Sequence[tuple[JourneyState, int]]) -> list[Assessment]:
    """The same for many (state, now) in one call of the model; no bit depends on the batch."""
    trials = [index for index, (state, _) in enumerate(moments) if state.happened(TRIAL_START)]
    chances: dict[int, float] = {}
    if trials:
        found = model.probabilities(matrix([moments[index] for index in trials]))
        chances = dict(zip(trials, found.tolist(), strict=True))
    return [
        _assessment(model, state, now, chances.get(index))
        for index, (state, now) in enumerate(moments)
    ]


def reasons(model: Model, state: JourneyState, now: int) -> tuple[Reason, ...]:
    """The behaviours that move the score most, strongest first; none before a trial.

    Effects are Shapley values in log-odds: with all features and the model's average they add up
    to the score's own log-odds.
    """
    if not state.happened(TRIAL_START):
        return ()
    values = vector(state, now)
    effects = model.contributions(np.array([values]))[0].tolist()
    found = [
        Reason(
            feature=feature.name,
            value=None if math.isnan(value) else value,
            effect=effect,
            text=PHRASES[feature.name](value),
        )
        for feature, value, effect in zip(FEATURES, values, effects, strict=True)
        if feature.behaviour and abs(effect) >= LEAST_EFFECT
    ]
    found.sort(key=lambda reason: (-abs(reason.effect), reason.feature))
    return tuple(found[:TOP_REASONS])


def tier_of(score: int) -> Tier:
    """The band that a score of 0 to 100 lies in."""
    return next(tier for least, tier in TIERS if score >= least)


def lifecycle_of(state: JourneyState) -> Lifecycle:
    """Visitor, lead, trial, customer, churned. An expired trial is still a trial: only paying or
    leaving changes it."""
    if state.happened(CONVERSION):
        cancelled = state.last.get(EventName.SUBSCRIPTION_CANCELLED)
        left = cancelled is not None and cancelled > state.last[CONVERSION]
        return Lifecycle.CHURNED if left else Lifecycle.CUSTOMER
    if state.happened(TRIAL_START):
        return Lifecycle.TRIAL
    return Lifecycle.LEAD if any(map(state.happened, LEAD_SIGNS)) else Lifecycle.VISITOR


def stage_of(state: JourneyState, now: int, score: int | None, lifecycle: Lifecycle) -> Stage:
    """The stage of the journey as of `now`; a customer's trial is never at risk."""
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
