"""Journey state: what a stream of events amounts to, in a form that commutes (delivery rule 4).

It holds integers, earliest and latest times (ties broken by event id), per-day integer buckets and
bounded sets with a fixed rule for what stays. No floats, no decay: those are features. Folding the
same set of events in any order, in any split over rows, and merging, gives equal states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from desireline.events import AliasType, CanonicalEvent, Scalar

DAY = 86_400_000
KEPT_DAYS = 60
"""Per-day buckets: the newest this many days of those that have an event stay."""
KEPT_ACTORS = 64
"""Distinct actors: the smallest this many stay."""


Mark = tuple[int, str]
"""When, in epoch milliseconds, and the event's id: ordered, so that equal times have one answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A trait's value as of its latest mention."""

    value: Scalar
    at: int
    event_id: str

    @property
    def order(self) -> tuple[int, str, str]:
        """What decides between two mentions."""
        return (self.at, self.event_id, repr(self.value))


@dataclass(frozen=True, slots=True)
class JourneyState:
    """counts: events by name. first, last: their earliest and latest mark. days: day since the
    epoch -> name -> count. traits: latest facts. sums: of the plan's measures. actors: shortened
    fragments of the users who acted (a visitor or a billing customer is no further actor).
    latest: the latest occurred_at, 0 when empty."""

    counts: Mapping[str, int] = field(default_factory=dict)
    first: Mapping[str, Mark] = field(default_factory=dict)
    last: Mapping[str, Mark] = field(default_factory=dict)
    days: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    traits: Mapping[str, Fact] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)
    actors: tuple[str, ...] = ()
    latest: int = 0

    def happened(self, name: str, *, by: int | None = None) -> bool:
        """Whether an event of that name occurred, at or before `by` if given."""
        mark = self.first.get(name)
        return mark is not None and (by is None or mark[0] <= by)


EMPTY = JourneyState()


def fold(state: JourneyState, events: Iterable[CanonicalEvent]) -> JourneyState:
    """The state after these events too. The caller has made sure that none was counted before."""
    return merge([state, *map(_of_one, events)])


def merge(states: Iterable[JourneyState]) -> JourneyState:
    """One state out of several that share no event."""
    counts: dict[str, int] = {}
    first: dict[str, Mark] = {}
    last: dict[str, Mark] = {}
    days: dict[int, dict[str, int]] = {}
    traits: dict[str, Fact] = {}
    sums: dict[str, int] = {}
    actors: set[str] = set()
    latest = 0
    for state in states:
        _add(counts, state.counts)
        _add(sums, state.sums)
        for name, mark in state.first.items():
            first[name] = min(first.get(name, mark), mark)
        for name, mark in state.last.items():
            last[name] = max(last.get(name, mark), mark)
        for day, bucket in state.days.items():
            _add(days.setdefault(day, {}), bucket)
        for name, fact in state.traits.items():
            known = traits.get(name)
            if known is None or fact.order > known.order:
                traits[name] = fact
        actors.update(state.actors)
        latest = max(latest, state.latest)
    if len(days) > KEPT_DAYS:
        days = {day: days[day] for day in sorted(days)[-KEPT_DAYS:]}
    return JourneyState(
        counts, first, last, days, traits, sums, tuple(sorted(actors)[:KEPT_ACTORS]), latest
    )


def _of_one(event: CanonicalEvent) -> JourneyState:
    mark = (event.occurred_at, event.event_id)
    return JourneyState(
        counts={event.name: 1},
        first={event.name: mark},
        last={event.name: mark},
        days={event.occurred_at // DAY: {event.name: 1}},
        traits={
            name: Fact(value, event.occurred_at, event.event_id)
            for name, value in event.traits.items()
            if value is not None
        },
        sums=event.measures,
        actors=(event.fragment[:8],) if event.aliases[0].type is AliasType.USER else (),
        latest=event.occurred_at,
    )


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        into[name] = into.get(name, 0) + number
