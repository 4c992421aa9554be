"""JourneyState: the summary of a set of events, independent of their order (delivery rule 4).

It has integer counts and sums, earliest and latest times (the event id breaks ties), integer counts
by day, and bounded sets with a fixed rule for removal. It has no floats and no decay: features
compute those. Any order of the events, and any split over rows that are merged, gives equal states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from desireline.events import AliasType, CanonicalEvent, Scalar

DAY = 86_400_000
KEPT_DAYS = 60
"""The most days with counts. The newest days that have an event stay."""
KEPT_ACTORS = 64
"""The most distinct actors. The smallest stay, so that the order of events does not matter."""


Mark = tuple[int, str]
"""The time of an event in epoch ms, and its id, which orders events of equal times."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A trait's value as of its latest mention."""

    value: Scalar
    at: int
    event_id: str

    @property
    def order(self) -> tuple[int, str, str]:
        """The sort key of two mentions. The larger one is the later."""
        return (self.at, self.event_id, repr(self.value))


@dataclass(frozen=True, slots=True)
class JourneyState:
    """The summary of events. counts: events by name. first, last: their earliest and latest mark.
    days: day since the epoch -> name -> count. traits: latest facts. sums: of the plan's measures.
    actors: the first 8 characters of the fragments of users with an event. Events whose strongest
    alias is not a user id add none. latest: the latest occurred_at, epoch ms; 0 if empty."""

    counts: Mapping[str, int] = field(default_factory=dict)
    first: Mapping[str, Mark] = field(default_factory=dict)
    last: Mapping[str, Mark] = field(default_factory=dict)
    days: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    traits: Mapping[str, Fact] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)
    actors: tuple[str, ...] = ()
    latest: int = 0

    def happened(self, name: str, *, by: int | None = None) -> bool:
        """Tell whether an event of that name occurred. by: the latest time to include, epoch ms."""
        mark = self.first.get(name)
        return mark is not None and (by is None or mark[0] <= by)


EMPTY = JourneyState()


def fold(state: JourneyState, events: Iterable[CanonicalEvent]) -> JourneyState:
    """Add events to a state. The caller ensures that none was counted before."""
    return merge([state, *map(_of_event, events)])


def merge(states: Iterable[JourneyState]) -> JourneyState:
    """Merge states that share no event."""
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
            other = traits.get(name)
            if other is None or fact.order > other.order:
                traits[name] = fact
        actors.update(state.actors)
        latest = max(latest, state.latest)
    if len(days) > KEPT_DAYS:
        days = {day: days[day] for day in sorted(days)[-KEPT_DAYS:]}
    return JourneyState(
        counts, first, last, days, traits, sums, tuple(sorted(actors)[:KEPT_ACTORS]), latest
    )


def _of_event(event: CanonicalEvent) -> JourneyState:
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
