"""Write the values of features as phrases, which a CSM reads as the reasons of a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

_DAY_HOURS = 24


def _times(done: str, one: str, many: str) -> Callable[[float], str]:
    """Return the phrase of a count. done: after "has not". many: has a {} for the count."""

    def phrase(value: float) -> str:
        count = int(value)
        if count == 0:
            return f"has not {done}"
        return one if count == 1 else many.format(count)

    return phrase


def _integration_speed(value: float) -> str:
    return {
        100: "connected an integration within a day",
        75: "connected an integration within three days",
        50: "connected an integration within the first week",
        25: "connected an integration only after the first week",
    }.get(int(value), "has not connected an integration")


def _hours_since_active(value: float) -> str:
    if math.isnan(value):
        return "has never used the product"
    if value < 1:
        return "is active right now"
    if value < _DAY_HOURS:
        return f"was active {value:.0f} h ago"
    days = value / _DAY_HOURS
    return f"has not been active for {days:.0f} day{'s' if round(days) != 1 else ''}"


def _usage_trend(value: float) -> str:
    if math.isnan(value):
        return "has no usage to compare yet"
    if abs(value) < 0.1:
        return "uses the product as much as in the days before"
    return f"usage is {'rising' if value > 0 else 'falling'} compared with the three days before"


def _rate(noun: str) -> Callable[[float], str]:
    return lambda value: f"{value:.1f} {noun} a day" if value else f"no {noun} so far"


PHRASES: Mapping[str, Callable[[float], str]] = {
    "active_day_share": lambda value: f"was active on {value:.0%} of the trial's days",
    "logins_per_day": _rate("logins"),
    "actions_per_day": _rate("actions in the product"),
    "hours_since_active": _hours_since_active,
    "usage_trend": _usage_trend,
    "feature_breadth": _times(
        "used any feature", "uses one feature only", "uses {} different features"
    ),
    "integration_speed": _integration_speed,
    "integrations_connected": _times(
        "connected an integration", "connected an integration", "connected {} integrations"
    ),
    "integration_failures": lambda value: (
        f"an integration failed {'once' if value == 1 else f'{value:.0f} times'}"
        if value
        else "no integration failed"
    ),
    "projects_created": _times("created a project", "created a project", "created {} projects"),
    "tasks_per_day": _rate("tasks created or completed"),
    "invited_in_week1": lambda value: (
        "invited a teammate in the first week"
        if value
        else "has not invited a teammate in the first week"
    ),
    "invites_sent": _times("invited a teammate", "invited one teammate", "invited {} teammates"),
    "invites_accepted": lambda value: (
        f"{value:.0f} teammate{'s' if value != 1 else ''} joined" if value else "no teammate joined"
    ),
    "distinct_actors": lambda value: (
        f"{value:.0f} people use it" if value > 1 else "only one person uses it"
    ),
    "automations_created": _times(
        "created an automation", "created an automation", "created {} automations"
    ),
    "onboarding_steps": _times(
        "done any onboarding step", "completed one onboarding step", "completed {} onboarding steps"
    ),
    "onboarding_completed": lambda value: (
        "completed onboarding" if value else "has not completed onboarding"
    ),
    "pricing_views": _times(
        "looked at pricing", "looked at pricing once", "looked at pricing {} times"
    ),
    "site_visits": _times(
        "read anything on the site", "viewed one page of the site", "viewed {} pages of the site"
    ),
    "errors": lambda value: (
        f"ran into {'an error' if value == 1 else f'{value:.0f} errors'}"
        if value
        else "ran into no errors"
    ),
    "support_conversations": _times(
        "asked support", "asked support once", "asked support {} times"
    ),
}
"""The phrase of each feature that is a behaviour, by name. A test checks that none is missing."""
