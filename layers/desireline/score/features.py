"""The features of the trial model: pure functions of (journey state, now), in a fixed order.

Scoring calls them on the current state. Training calls them on history that is replayed to a
decision time. Both get bit-identical numbers, because a feature divides integers at most twice and
sums over fixed tuples of names. No feature uses OUTCOME_STEPS, the events of the outcome itself; a
test checks that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.journey.state import DAY, JourneyState
from desireline.plan.event_names import EventName

HOUR = 3_600_000
WEEK = 7 * DAY
TRIAL_START = EventName.TRIAL_SIGNUP.value
TRIAL_DAYS = 14
TREND_DAYS = 3
MISSING = math.nan


def _plain(*names: str) -> tuple[str, ...]:
    """Convert enum members to strings, because a dict finds strings faster."""
    return tuple(map(str, names))


ACTIONS = _plain(
    EventName.INTEGRATION_CONNECTED,
    EventName.PROJECT_CREATED,
    EventName.TEMPLATE_USED,
    EventName.TASK_CREATED,
    EventName.TASK_COMPLETED,
    EventName.TEAM_MEMBER_INVITED,
    EventName.AUTOMATION_CREATED,
    EventName.REPORT_VIEWED,
    EventName.DASHBOARD_SHARED,
    EventName.FILE_UPLOADED,
    EventName.COMMENT_POSTED,
    EventName.API_KEY_CREATED,
    EventName.EXPORT_RUN,
    EventName.FEATURE_USED,
)
"""Events that are actions in the product."""

USAGE = (
    *ACTIONS,
    EventName.LOGGED_IN,
    EventName.MOBILE_APP_OPENED,
    EventName.ONBOARDING_STEP_COMPLETED,
)
"""Events that make a day active."""

SITE_VISITS = _plain(
    EventName.PAGE_VIEWED,
    EventName.PRICING_PAGE_VIEWED,
    EventName.FEATURE_PAGE_VIEWED,
    EventName.INTEGRATION_PAGE_VIEWED,
    EventName.COMPARISON_PAGE_VIEWED,
    EventName.CASE_STUDY_VIEWED,
    EventName.DOCS_ARTICLE_VIEWED,
    EventName.BLOG_POST_READ,
)

CONVERSION = EventName.TRIAL_TO_PAID_CONVERSION.value
OUTCOME_STEPS = (
    EventName.CHECKOUT_STARTED,
    EventName.PAYMENT_METHOD_ADDED,
    CONVERSION,
    EventName.INVOICE_PAID,
    EventName.PAYMENT_FAILED,
    EventName.REFUND_ISSUED,
    EventName.SUBSCRIPTION_UPGRADED,
    EventName.SUBSCRIPTION_DOWNGRADED,
    EventName.SUBSCRIPTION_RENEWED,
    EventName.SUBSCRIPTION_CANCELLED,
    EventName.SEAT_ADDED,
    EventName.SEAT_REMOVED,
    EventName.TRIAL_EXTENDED,
    EventName.TRIAL_EXPIRED,
    EventName.DEAL_CLOSED_WON,
    EventName.DEAL_CLOSED_LOST,
)
"""Events of the outcome, such as checkout, payment or the trial's end. No feature uses them."""

FeatureFunction = Callable[[JourneyState, int], float]


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the matrix. behaviour: whether persons can change it, so that it can be a reason.
    The trial's age is not a behaviour."""

    name: str
    unit: str
    value: FeatureFunction
    behaviour: bool = True


def trial_start(state: JourneyState) -> int:
    """Return the time of the signup, epoch ms. Raises ValueError if no trial has begun."""
    mark = state.first.get(TRIAL_START)
    if mark is None:
        raise ValueError("no trial has begun: compute features only after a signup")
    return mark[0]


def trial_age(state: JourneyState, now: int) -> int:
    """Return the trial's age in ms, limited to 0 to TRIAL_DAYS days."""
    return min(max(now - trial_start(state), 0), TRIAL_DAYS * DAY)


def integration_speed(state: JourneyState) -> int:
    """Return 100 if the first integration was connected within 1 day of the signup, 75 within 3
    days, 50 within 7 days, 25 if later, and 0 if there is none."""
    mark = state.first.get(EventName.INTEGRATION_CONNECTED)
    if mark is None:
        return 0
    elapsed = mark[0] - trial_start(state)
    for limit, speed in ((1, 100), (3, 75), (7, 50)):
        if elapsed <= limit * DAY:
            return speed
    return 25


def _total(state: JourneyState, names: Iterable[str]) -> int:
    return sum(state.counts.get(name, 0) for name in names)


def _count(*names: str) -> FeatureFunction:
    """Return a feature: the number of these events."""
    plain = _plain(*names)
    return lambda state, _now: float(_total(state, plain))


def _per_day(*names: str) -> FeatureFunction:
    """Return a feature: the number of these events per day of the trial, which has at least one."""
    plain = _plain(*names)

    def rate(state: JourneyState, now: int) -> float:
        return _total(state, plain) * DAY / max(trial_age(state, now), DAY)

    return rate


def _used(state: JourneyState, days: Iterable[int]) -> int:
    """Count the events of USAGE on these days."""
    return sum(state.days.get(day, {}).get(name, 0) for day in days for name in USAGE)


def _days_in_trial(state: JourneyState, now: int) -> float:
    return trial_age(state, now) / DAY


def _active_day_share(state: JourneyState, now: int) -> float:
    start = trial_start(state) // DAY
    days = range(start, start + trial_age(state, now) // DAY + 1)
    return sum(_used(state, (day,)) > 0 for day in days) / len(days)


def _hours_since_active(state: JourneyState, now: int) -> float:
    times = [state.last[name][0] for name in USAGE if name in state.last]
    if not times:
        return MISSING
    return min(max(now - max(times), 0), TRIAL_DAYS * DAY) / HOUR


def _invited_in_week1(state: JourneyState, _now: int) -> float:
    mark = state.first.get(EventName.TEAM_MEMBER_INVITED)
    return float(mark is not None and mark[0] <= trial_start(state) + WEEK)


def _breadth(state: JourneyState, _now: int) -> float:
    return float(sum(state.counts.get(name, 0) > 0 for name in ACTIONS))


def _usage_trend(state: JourneyState, now: int) -> float:
    """Compare the usage of the last TREND_DAYS with that of the days before: -1 to 1."""
    if trial_age(state, now) < TREND_DAYS * DAY:
        return MISSING
    today = now // DAY
    recent = _used(state, range(today - TREND_DAYS + 1, today + 1))
    before = _used(state, range(today - 2 * TREND_DAYS + 1, today - TREND_DAYS + 1))
    return (recent - before) / (recent + before) if recent + before else MISSING


FEATURES: tuple[Feature, ...] = (
    Feature("days_in_trial", "days", _days_in_trial, behaviour=False),
    Feature("active_day_share", "share", _active_day_share),
    Feature(
        "logins_per_day", "per day", _per_day(EventName.LOGGED_IN, EventName.MOBILE_APP_OPENED)
    ),
    Feature("actions_per_day", "per day", _per_day(*ACTIONS)),
    Feature("hours_since_active", "hours", _hours_since_active),
    Feature("usage_trend", "-1 to 1", _usage_trend),
    Feature("feature_breadth", "kinds", _breadth),
    Feature("integration_speed", "0 to 100", lambda state, _now: float(integration_speed(state))),
    Feature("integrations_connected", "count", _count(EventName.INTEGRATION_CONNECTED)),
    Feature("integration_failures", "count", _count(EventName.INTEGRATION_FAILED)),
    Feature("projects_created", "count", _count(EventName.PROJECT_CREATED)),
    Feature("tasks_per_day", "per day", _per_day(EventName.TASK_CREATED, EventName.TASK_COMPLETED)),
    Feature("invited_in_week1", "0 or 1", _invited_in_week1),
    Feature("invites_sent", "count", _count(EventName.TEAM_MEMBER_INVITED)),
    Feature("invites_accepted", "count", _count(EventName.INVITE_ACCEPTED)),
    Feature("distinct_actors", "people", lambda state, _now: float(len(state.actors))),
    Feature("automations_created", "count", _count(EventName.AUTOMATION_CREATED)),
    Feature("onboarding_steps", "count", _count(EventName.ONBOARDING_STEP_COMPLETED)),
    Feature("onboarding_completed", "count", _count(EventName.ONBOARDING_COMPLETED)),
    Feature("pricing_views", "count", _count(EventName.PRICING_PAGE_VIEWED)),
    Feature("site_visits", "count", _count(*SITE_VISITS)),
    Feature("errors", "count", _count(EventName.ERROR_ENCOUNTERED)),
    Feature("support_conversations", "count", _count(EventName.CONVERSATION_STARTED)),
)

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


def vector(state: JourneyState, now: int) -> tuple[float, ...]:
    """Compute all features of a trial as of `now` (epoch ms), in the order of FEATURES.

    NaN is an unknown value. `now` must not be before the state's events, because the features would
    include the future. A late playbook check may pass a due time shortly before the latest event.
    Negative ages then become zero.
    """
    return tuple(feature.value(state, now) for feature in FEATURES)


def matrix(moments: Sequence[tuple[JourneyState, int]]) -> NDArray[np.float64]:
    """Compute the features of each (state, now), of shape (n, features)."""
    rows = [vector(state, now) for state, now in moments]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
