"""A simulated company: its stream of touches, and the truth behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from desireline_learning.simulator.conduct import plan
from desireline_learning.simulator.people import staff, visitor
from desireline_learning.simulator.scenario import DAY, HOUR, Scenario
from desireline_learning.simulator.timeline import Timeline, add_trial, add_visits, in_order
from desireline_learning.simulator.touches import Call, Touch
from desireline_learning.simulator.traffic import Delivery, deliveries

AliasName = tuple[str, str]
"""Type and value, as in `desireline.events.AliasType`."""


@dataclass(frozen=True, kw_only=True)
class TrialTruth:
    """The truth about a trial. paid_at: None if it does not pay within its 14 days. If paid_at is
    after the end of the stream, the stream does not contain the payment."""

    account: str
    owner: str
    signup_at: int
    chance: float
    paid_at: int | None

    @property
    def converts(self) -> bool:
        """Whether it pays."""
        return self.paid_at is not None


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth about a company. persons: the aliases of each person in the stream, disjoint."""

    trials: tuple[TrialTruth, ...]
    persons: tuple[frozenset[AliasName], ...]


@dataclass(frozen=True)
class Company:
    """A company, which its scenario determines. The order in which parts are read has no effect."""

    scenario: Scenario

    @cached_property
    def touches(self) -> tuple[Touch, ...]:
        """All touches before the scenario's end, by time."""
        made = [touch for touches, _ in self._parts for touch in touches]
        return tuple(sorted(made, key=lambda touch: touch.order))

    @cached_property
    def deliveries(self) -> tuple[Delivery, ...]:
        """All requests of the senders, by arrival."""
        return tuple(deliveries(self.scenario, self.touches))

    @cached_property
    def truth(self) -> Truth:
        """The trials' chances and outcomes, and the persons' aliases."""
        aliases: dict[str, set[AliasName]] = {}
        for touch in self.touches:
            aliases.setdefault(touch.person.key, set()).update(_aliases(touch))
        return Truth(
            trials=tuple(trial for _, trial in self._parts if trial is not None),
            persons=tuple(frozenset(aliases[key]) for key in sorted(aliases)),
        )

    @cached_property
    def _parts(self) -> tuple[tuple[tuple[Touch, ...], TrialTruth | None], ...]:
        scenario = self.scenario
        strangers = range(round(scenario.trials * scenario.visitors))
        return (
            *(self._trial(index) for index in range(scenario.trials)),
            *((self._visitor(index), None) for index in strangers),
        )

    def _trial(self, index: int) -> tuple[tuple[Touch, ...], TrialTruth]:
        scenario = self.scenario
        rng = Random(f"{scenario.seed}|trial|{index}")
        team = staff(
            rng,
            scenario.seed,
            index,
            members=rng.choice((0, 1, 2, 2, 3, 4)),
            late=rng.random() < scenario.late_account,
        )
        signup = _signup(rng, scenario)
        drawn = plan(rng, scenario.effects, signup=signup, members=len(team.people) - 1)
        timeline = Timeline(f"{scenario.seed:x}t{index:05d}", rng)
        add_trial(timeline, team, drawn, earliest=scenario.start)
        paid_at = None if drawn.paid_day is None else drawn.when(drawn.paid_day)
        truth = TrialTruth(
            account=team.account.group,
            owner=team.people[0].key,
            signup_at=signup,
            chance=drawn.chance,
            paid_at=paid_at,
        )
        return tuple(self._within(timeline)), truth

    def _visitor(self, index: int) -> tuple[Touch, ...]:
        scenario = self.scenario
        rng = Random(f"{scenario.seed}|visitor|{index}")
        person = visitor(rng, scenario.seed, index)
        timeline = Timeline(f"{scenario.seed:x}v{index:05d}", rng)
        count = 1 + rng.randrange(4)
        add_visits(timeline, person, before=scenario.end, earliest=scenario.start, count=count)
        return tuple(self._within(timeline))

    def _within(self, timeline: Timeline) -> Iterator[Touch]:
        end = self.scenario.end - HOUR
        return (touch for touch in in_order(timeline) if touch.at < end)


def _signup(rng: Random, scenario: Scenario) -> int:
    # The first day has only visitors. Weekends have few signups, nights have none.
    while True:
        day = 1 + int(rng.random() * scenario.signup_span)
        midnight = scenario.start + day * DAY
        weekend = (midnight // DAY + 3) % 7 >= 5
        if not weekend or rng.random() < 0.35:
            return midnight + int(rng.triangular(7, 20, 13) * HOUR)


def _aliases(touch: Touch) -> Iterator[AliasName]:
    """Yield the aliases of a touch's person that the touch contains.

    Bills contain user and customer. Invoices also contain the email address."""
    person, bill = touch.person, touch.call is Call.STRIPE
    if touch.device is not None:
        yield ("anonymous", touch.device)
    if person.user is not None and (touch.identified or bill):
        yield ("user", person.user)
    if bill and touch.account is not None:
        yield ("billing", touch.account.customer)
    if touch.name == "invoice_paid" and person.email is not None:
        yield ("email", person.email)
