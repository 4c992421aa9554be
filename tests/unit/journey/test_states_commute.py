"""A journey state is a function of the set of events: any order, any split, any grouping."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.events import Alias, AliasType, CanonicalEvent, RawPointer
from desireline.journey.state import (
    DAY,
    EMPTY,
    KEPT_ACTORS,
    KEPT_DAYS,
    JourneyState,
    fold,
    merge,
)

NAMES = st.sampled_from(["page_viewed", "logged_in", "trial_signup"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.text("ab", max_size=2))


@st.composite
def happened(draw: st.DrawFn) -> CanonicalEvent:
    kind = draw(st.sampled_from([AliasType.USER, AliasType.ANONYMOUS]))
    who = draw(st.sampled_from(["one", "two", "three"]))
    at = draw(st.integers(0, 100)) * DAY + draw(st.integers(0, 3))
    return CanonicalEvent(
        event_id=draw(st.uuids()).hex,
        name=draw(NAMES),
        category="any",
        source="test",
        occurred_at=at,
        received_at=at,
        aliases=(Alias(type=kind, value=who, fragment=who),),
        traits=draw(st.dictionaries(st.sampled_from(["plan", "seats"]), VALUES, max_size=2)),
        measures=draw(st.dictionaries(st.just("rows"), st.integers(0, 9), max_size=1)),
        raw=RawPointer(id="raw"),
    )


EVENTS = st.lists(happened(), max_size=12, unique_by=lambda one: one.event_id)


@given(EVENTS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_and_split_gives_the_same_state(
    events: list[CanonicalEvent], rng: random.Random
) -> None:
    together = fold(EMPTY, events)

    shuffled = rng.sample(events, len(events))
    parts: list[list[CanonicalEvent]] = [[], [], []]
    for one in shuffled:
        rng.choice(parts).append(one)
    folded = [fold(EMPTY, part) for part in parts]
    one_by_one = EMPTY
    for one in shuffled:
        one_by_one = fold(one_by_one, [one])

    assert merge(folded) == merge(folded[::-1]) == together
    assert merge([merge(folded[:2]), folded[2]]) == merge([folded[0], merge(folded[1:])])
    assert one_by_one == together


@given(EVENTS)
@settings(deadline=None)
def test_it_says_what_happened(events: list[CanonicalEvent]) -> None:
    state = fold(EMPTY, events)

    assert sum(state.counts.values()) == len(events)
    assert state.latest == max((one.occurred_at for one in events), default=0)
    for name in state.counts:
        mine = [(one.occurred_at, one.event_id) for one in events if one.name == name]
        assert (state.first[name], state.last[name]) == (min(mine), max(mine))
        assert sum(day.get(name, 0) for day in state.days.values()) == len(mine)
        assert state.happened(name, by=min(mine)[0])
        assert not state.happened(name, by=min(mine)[0] - 1)
    assert state.sums.get("rows", 0) == sum(one.measures.get("rows", 0) for one in events)
    users = {one.fragment for one in events if one.aliases[0].type is AliasType.USER}
    assert set(state.actors) == users


@given(st.permutations(range(KEPT_DAYS + 9)))
@settings(max_examples=25, deadline=None)
def test_the_newest_days_and_the_smallest_actors_stay_in_any_order(order: list[int]) -> None:
    many = [
        JourneyState(days={i: {"x": 1}}, actors=(f"{i:03}", f"{i + 100:03}"))
        for i in range(len(order))
    ]

    state = EMPTY
    for i in order:
        state = merge([state, many[i]])

    assert state == merge(many)
    assert sorted(state.days) == list(range(9, KEPT_DAYS + 9))
    assert len(state.actors) == KEPT_ACTORS


def test_a_later_mention_of_a_trait_stands_and_nothing_is_no_mention() -> None:
    def mention(number: int, at: int, plan: str | None) -> CanonicalEvent:
        return CanonicalEvent(
            event_id=str(number),
            name="identified",
            category="any",
            source="test",
            occurred_at=at,
            received_at=at,
            aliases=(Alias(type=AliasType.USER, value="u", fragment="u"),),
            traits={"plan": plan},
            raw=RawPointer(id="raw"),
        )

    state = fold(EMPTY, [mention(1, 20, "pro"), mention(2, 10, "free"), mention(3, 30, None)])

    assert state.traits["plan"].value == "pro"
