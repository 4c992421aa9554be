"""Features are pure functions of (state, now): values, order, and no step of the outcome."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer
from desireline.journey.state import DAY, EMPTY, fold, merge
from desireline.score.features import (
    ACTIONS,
    FEATURE_NAMES,
    FEATURES,
    HOUR,
    OUTCOME_STEPS,
    SITE_VISITS,
    USAGE,
    matrix,
    vector,
)

SIGNUP = 20_000 * DAY + 9 * HOUR
"""Nine in the morning, so that calendar days and days of the trial differ."""
NAMES = sorted({*USAGE, *SITE_VISITS, *OUTCOME_STEPS, "error_encountered", "conversation_started"})


def event(name, after=0, *, who="ann", kind=AliasType.USER, key=None):
    at = SIGNUP + after
    return CanonicalEvent(
        event_id=key or f"{name}-{after}-{who}",
        name=name,
        category="any",
        source="segment",
        occurred_at=at,
        received_at=at,
        aliases=(Alias(type=kind, value=who, fragment=f"{who}-fragment"),),
        raw=RawPointer(id="raw"),
    )


def trial(*events):
    return fold(EMPTY, [event("trial_signup"), *events])


def feature(name, state, after):
    return dict(zip(FEATURE_NAMES, vector(state, SIGNUP + after), strict=True))[name]


def bits(values):
    return [value.hex() for value in values]


def test_names_are_unique_and_their_order_is_fixed():
    assert len(set(FEATURE_NAMES)) == len(FEATURES) == 23
    assert FEATURE_NAMES[:3] == ("days_in_trial", "active_day_share", "logins_per_day")


@pytest.mark.parametrize(
    ("hours", "speed"),
    [(0, 100), (24, 100), (24.1, 75), (72, 75), (73, 50), (168, 50), (169, 25)],
)
def test_integration_speed_by_time_since_the_signup(hours, speed):
    state = trial(event("integration_connected", int(hours * HOUR)))

    assert feature("integration_speed", state, 8 * DAY) == speed


def test_integration_speed_is_that_of_the_first_and_zero_without_any():
    state = trial(event("integration_connected", HOUR), event("integration_connected", 9 * DAY))

    assert feature("integration_speed", state, 9 * DAY) == 100
    assert feature("integrations_connected", state, 9 * DAY) == 2
    assert feature("integration_speed", trial(), 9 * DAY) == 0


@pytest.mark.parametrize(("after", "value"), [(7 * DAY, 1.0), (7 * DAY + 1, 0.0)])
def test_a_teammate_counts_as_invited_in_week_1_up_to_its_last_millisecond(after, value):
    state = trial(event("team_member_invited", after))

    assert feature("invited_in_week1", state, 10 * DAY) == value


def test_rates_are_per_day_and_never_of_less_than_a_day():
    state = trial(*(event("task_created", HOUR + n) for n in range(6)))

    assert feature("actions_per_day", state, 2 * HOUR) == 6.0
    assert feature("actions_per_day", state, 4 * DAY) == 1.5
    assert feature("tasks_per_day", state, 4 * DAY) == 1.5


def test_the_trial_ages_no_further_than_its_end():
    assert feature("days_in_trial", trial(), 36 * HOUR) == 1.5
    assert feature("days_in_trial", trial(), 90 * DAY) == 14.0


def test_recency_is_of_usage_not_of_site_visits():
    state = trial(event("logged_in", DAY), event("pricing_page_viewed", 3 * DAY))

    assert feature("hours_since_active", state, 3 * DAY) == 48.0
    assert math.isnan(feature("hours_since_active", trial(), DAY))


def test_a_due_time_before_the_latest_event_gives_no_negative_age():
    state = trial(event("logged_in", 5 * DAY))

    assert feature("hours_since_active", state, 4 * DAY) == 0.0
    assert feature("days_in_trial", state, -DAY) == 0.0


def test_active_days_are_a_share_of_the_days_so_far():
    state = trial(
        event("logged_in", HOUR), event("task_created", 2 * HOUR), event("logged_in", DAY)
    )

    assert feature("active_day_share", state, 3 * DAY) == 2 / 4


def test_usage_trend_compares_three_days_with_the_three_before():
    rising = trial(event("logged_in", DAY), *(event("task_created", 4 * DAY + n) for n in range(3)))

    assert feature("usage_trend", rising, 5 * DAY) == (3 - 1) / 4
    assert feature("usage_trend", rising, 30 * DAY) != feature("usage_trend", rising, 5 * DAY)
    assert math.isnan(feature("usage_trend", rising, 2 * DAY))
    assert math.isnan(feature("usage_trend", trial(), 5 * DAY))


def test_people_are_users_not_devices_or_billing_customers():
    state = trial(
        event("logged_in", 1, who="ann"),
        event("logged_in", 2, who="bob"),
        event("page_viewed", 3, who="device", kind=AliasType.ANONYMOUS),
        event("invoice_paid", 4, who="cus_1", kind=AliasType.BILLING),
    )

    assert feature("distinct_actors", state, DAY) == 2.0


def test_breadth_counts_kinds_of_actions():
    state = trial(event("task_created", 1), event("task_created", 2), event("report_viewed", 3))

    assert feature("feature_breadth", state, DAY) == 2.0


def test_features_of_what_is_no_trial_are_refused():
    with pytest.raises(ValueError, match="no trial has begun"):
        vector(fold(EMPTY, [event("page_viewed")]), SIGNUP)


def test_no_moments_give_a_table_without_rows():
    assert matrix([]).shape == (0, len(FEATURES))


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(-5 * DAY, 13 * DAY)), max_size=40),
    st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_any_order_and_any_split_over_rows_give_the_same_bits(happenings, rng):
    events = [event(name, after, key=f"{n}") for n, (name, after) in enumerate(happenings)]
    offline = trial(*events)
    shuffled = [event("trial_signup"), *events]
    rng.shuffle(shuffled)
    cut = rng.randrange(len(shuffled) + 1)
    online = merge([fold(EMPTY, shuffled[cut:]), fold(EMPTY, shuffled[:cut])])
    now = offline.latest

    assert bits(vector(online, now)) == bits(vector(offline, now))
    assert matrix([(online, now)] * 2).tobytes() == matrix([(offline, now)] * 2).tobytes()


def test_no_step_of_the_outcome_moves_any_feature():
    rng = random.Random(5)
    usage = [event(rng.choice(NAMES), rng.randrange(10 * DAY), key=f"{n}") for n in range(60)]
    usage = [happened for happened in usage if happened.name not in OUTCOME_STEPS]
    now = SIGNUP + 10 * DAY
    before = vector(trial(*usage), now)

    for name in OUTCOME_STEPS:
        for kind, who in ((AliasType.BILLING, "cus_1"), (AliasType.USER, "ann")):
            step = event(name, 9 * DAY, who=who, kind=kind)
            assert bits(vector(trial(*usage, step), now)) == bits(before), name


def test_what_counts_as_usage_holds_no_step_of_the_outcome():
    assert not {*USAGE, *SITE_VISITS} & {*OUTCOME_STEPS}
    assert set(ACTIONS) < set(USAGE)
