"""Draw the course of a trial: milestones, sessions, errors and payment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from desireline_learning.simulator.scenario import DAY, HOUR, TRIAL_DAYS, Conduct, Effects

WEEKEND = 0.35
"""The usage on Saturdays and Sundays, as a share of that on weekdays."""
LAST_MILESTONE = 13.0
"""Days after the signup, after which no milestone of the trial happens."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One visit to the product. person: 0 for the owner, else the member's number."""

    at: int
    person: int
    actions: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The course of a trial, in days since its signup; None if an event does not happen.

    errors: (day, whether the person contacted support). paid_day: the day of the payment.
    """

    signup: int
    engagement: float
    integration: float | None
    integration_failed: float | None
    project: float | None
    invites: tuple[float, ...]
    joined: tuple[float | None, ...]
    automation: float | None
    onboarding_steps: tuple[float, ...]
    pricing: tuple[float, ...]
    errors: tuple[tuple[float, bool], ...]
    faded: bool
    sessions: tuple[Session, ...]
    chance: float
    paid_day: float | None

    def when(self, day: float) -> int:
        """Convert days after the signup into epoch ms."""
        return self.signup + int(day * DAY)


def plan(rng: Random, effects: Effects, *, signup: int, members: int) -> Plan:
    """Draw the course of a trial.

    One hidden number, the engagement, influences all behaviours. The chance of paying depends only
    on the behaviours."""
    drive = rng.gauss(0.0, 1.0)
    integration = _milestone(rng, 1.2 + 1.4 * drive, median_hours=18 * math.exp(-0.6 * drive))
    failed = rng.random() < 0.18
    invite = _milestone(rng, 0.3 + 1.5 * drive, median_hours=60) if members else None
    invites = () if invite is None else _invites(rng, invite, members)
    joined = tuple(day + rng.expovariate(1.0) if rng.random() < 0.8 else None for day in invites)
    project = _milestone(rng, 1.0 + 1.3 * drive, median_hours=22)
    automation = _milestone(rng, -0.2 + 1.5 * drive, median_hours=70)
    errors = tuple(
        (rng.uniform(0, TRIAL_DAYS), rng.random() < 0.4) for _ in range(_poisson(rng, 0.5))
    )
    faded = rng.random() < 1 / (1 + math.exp(0.7 + 1.2 * drive))
    sessions = _sessions(rng, signup, drive, faded, joined)
    conduct = Conduct(
        integration_day=integration,
        invite_day=invite,
        automation=automation is not None,
        project=project is not None,
        active_days=len({session.at // DAY for session in sessions}),
        faded=faded,
        errors_alone=sum(not helped for _, helped in errors),
    )
    chance = effects.chance(conduct)
    last = max((day for day in (integration, invite, project, automation) if day), default=0.0)
    return Plan(
        signup=signup,
        engagement=drive,
        integration=integration,
        integration_failed=integration * rng.random() if failed and integration else None,
        project=project,
        invites=invites,
        joined=joined,
        automation=automation,
        onboarding_steps=_onboarding(rng, drive),
        pricing=tuple(rng.uniform(0, TRIAL_DAYS) for _ in range(_poisson(rng, 0.6))),
        errors=errors,
        faded=faded,
        sessions=sessions,
        chance=chance,
        paid_day=_paid_day(rng, last) if rng.random() < chance else None,
    )


def _milestone(rng: Random, lean: float, *, median_hours: float) -> float | None:
    happens = rng.random() < 1 / (1 + math.exp(-lean))
    day = median_hours * math.exp(rng.gauss(0.0, 1.0)) / 24
    return max(day, 0.01) if happens and day < LAST_MILESTONE else None


def _invites(rng: Random, first: float, members: int) -> tuple[float, ...]:
    more = sorted(first + rng.expovariate(0.5) for _ in range(members - 1) if rng.random() < 0.6)
    return (first, *(day for day in more if day < LAST_MILESTONE))


def _onboarding(rng: Random, drive: float) -> tuple[float, ...]:
    day, days = 0.0, []
    for _ in range(5):
        if rng.random() > 1 / (1 + math.exp(-1.5 - drive)):
            break
        day += rng.expovariate(4.0)
        days.append(day)
    return tuple(day for day in days if day < LAST_MILESTONE)


def _sessions(
    rng: Random, signup: int, drive: float, faded: bool, joined: tuple[float | None, ...]
) -> tuple[Session, ...]:
    sessions = [Session(at=signup + 20_000, person=0, actions=1 + rng.randrange(3))]
    starts = [0.0, *(day if day is not None else math.inf for day in joined)]
    for person, start in enumerate(starts):
        if start == math.inf:
            continue
        rate = math.exp((0.0 if person == 0 else -0.9) + 0.5 * drive)
        for day in range(math.ceil(start), TRIAL_DAYS):
            midnight = (signup // DAY + day) * DAY
            weekday = (midnight // DAY + 3) % 7
            today = rate * (WEEKEND if weekday >= 5 else 1.0)
            today *= math.exp(-day / 2.5) if faded else 1.0
            for _ in range(min(_poisson(rng, today), 3)):
                at = midnight + int(rng.triangular(7, 21, 12) * HOUR)
                if at > signup + start * DAY + 60_000:
                    sessions.append(Session(at=at, person=person, actions=1 + rng.randrange(4)))
    return tuple(sorted(sessions, key=lambda session: (session.at, session.person)))


def _paid_day(rng: Random, last_milestone: float) -> float:
    # Most trials pay in their second week, and only after their last milestone.
    day = 4.0 + 9.9 * rng.betavariate(1.7, 1.1)
    return min(max(day, last_milestone + rng.uniform(0.2, 0.8)), 13.95)


def _poisson(rng: Random, mean: float) -> int:
    count, product, limit = 0, rng.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= rng.random()
    return count
