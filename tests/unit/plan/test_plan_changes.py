"""Every change from plan to plan is found and is breaking or not; an unchanged plan has none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.plan.tracking_plan import TrackingPlan, load_plan
from desireline_operate.plan.changes import Change, changes, required_level
from desireline_operate.plan.versions import Level, Version

PATCH, MINOR, MAJOR = Level.PATCH, Level.MINOR, Level.MAJOR
PLAN: dict[str, Any] = {
    "version": "1.0.0",
    "traits": {"person": {"name": "name", "fullName": "name"}, "account": {"plan": "plan"}},
    "events": {
        "paid": {
            "name": "paid",
            "category": "billing",
            "description": "Money came.",
            "conversion": "macro",
            "parameters": {
                "amount": {
                    "type": "number",
                    "unit": "EUR",
                    "minimum": 0,
                    "maximum": 10,
                    "sum": True,
                },
                "kind": {"type": "string", "values": ["a", "b"], "required": True},
                "note": {"type": "string"},
                "count": {"type": "integer"},
            },
        },
        "left": {"name": "left", "category": "billing", "description": "Gone."},
    },
    "senders": {
        "tool": {
            "sender": "tool",
            "mappings": [
                {"call": "t", "as": "paid", "where": "a == 'x'", "properties": {"kind": "k"}},
                {"call": "t", "as": "left", "where": "a == 'y'"},
                {"call": "t", "as": "left"},
                {"call": "u", "event": "U", "as": "left"},
            ],
        },
        "other": {
            "sender": "other",
            "verified_email": True,
            "mappings": [],
            "ignored": [{"call": "n", "event": "N", "why": "noise"}],
        },
    },
}
Mutation = Callable[[dict[str, Any]], object]


def paid(plan: dict[str, Any]) -> dict[str, Any]:
    return plan["events"]["paid"]


def parameter(plan: dict[str, Any], name: str) -> dict[str, Any]:
    return plan["events"]["paid"]["parameters"][name]


def mappings(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return plan["senders"]["tool"]["mappings"]


def at_first(new: dict[str, Any]) -> Mutation:
    return lambda plan: mappings(plan).insert(0, {"call": "t", "as": "left", **new})


def ignored(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return plan["senders"]["other"]["ignored"]


MUTATIONS: dict[str, tuple[Mutation, Level, str]] = {
    "ignored": (
        lambda p: ignored(p).append({"call": "m", "why": "noise"}),
        MINOR,
        "other m is ignored",
    ),
    "no longer ignored": (lambda p: ignored(p).pop(), MINOR, "other n “N” is no longer ignored"),
    "ignored, why": (
        lambda p: ignored(p)[0].update(why="more noise"),
        PATCH,
        "other n “N” is ignored for another reason",
    ),
    "event removed": (lambda p: p["events"].pop("left"), MAJOR, "left is removed"),
    "event added": (
        lambda p: p["events"].update(
            came={"name": "came", "category": "x", "description": "Hello."}
        ),
        MINOR,
        "came is a new event",
    ),
    "description": (
        lambda p: paid(p).update(description="Money."),
        PATCH,
        "paid has another description",
    ),
    "category": (
        lambda p: paid(p).update(category="money"),
        MAJOR,
        "paid moves from billing to money",
    ),
    "conversion lost": (
        lambda p: paid(p).pop("conversion"),
        MAJOR,
        "paid is no conversion, no longer macro conversion",
    ),
    "conversion changed": (
        lambda p: paid(p).update(conversion="micro"),
        MAJOR,
        "paid is micro conversion, no longer macro conversion",
    ),
    "high intent": (lambda p: paid(p).update(high_intent=True), MAJOR, "paid marks high intent"),
    "ownership": (
        lambda p: paid(p).update(owns_account=True),
        MAJOR,
        "paid makes its person the account's owner",
    ),
    "parameter removed": (
        lambda p: paid(p)["parameters"].pop("note"),
        MAJOR,
        "paid.note is removed",
    ),
    "parameter added": (
        lambda p: paid(p)["parameters"].update(more={"type": "string"}),
        MINOR,
        "paid.more is a new parameter",
    ),
    "required parameter added": (
        lambda p: paid(p)["parameters"].update(more={"type": "string", "required": True}),
        MAJOR,
        "paid.more is a new parameter, and required",
    ),
    "type": (
        lambda p: parameter(p, "amount").update(type="integer"),
        MAJOR,
        "paid.amount is an integer, no longer a number",
    ),
    "unit": (
        lambda p: parameter(p, "amount").update(unit="cent"),
        MAJOR,
        "paid.amount is in cent, no longer in EUR",
    ),
    "unit lost": (
        lambda p: parameter(p, "amount").pop("unit"),
        MAJOR,
        "paid.amount is in no unit, no longer in EUR",
    ),
    "made required": (
        lambda p: parameter(p, "note").update(required=True),
        MAJOR,
        "paid.note is required",
    ),
    "made optional": (
        lambda p: parameter(p, "kind").pop("required"),
        MINOR,
        "paid.kind is no longer required",
    ),
    "minimum raised": (
        lambda p: parameter(p, "amount").update(minimum=1),
        MAJOR,
        "paid.amount has the minimum 1, no longer 0",
    ),
    "minimum lowered": (
        lambda p: parameter(p, "amount").update(minimum=-1),
        MINOR,
        "paid.amount has the minimum -1, no longer 0",
    ),
    "minimum taken away": (
        lambda p: parameter(p, "amount").pop("minimum"),
        MINOR,
        "paid.amount no longer has a minimum; it was 0",
    ),
    "maximum raised": (
        lambda p: parameter(p, "amount").update(maximum=11),
        MINOR,
        "paid.amount has the maximum 11, no longer 10",
    ),
    "maximum lowered": (
        lambda p: parameter(p, "amount").update(maximum=9),
        MAJOR,
        "paid.amount has the maximum 9, no longer 10",
    ),
    "maximum taken away": (
        lambda p: parameter(p, "amount").pop("maximum"),
        MINOR,
        "paid.amount no longer has a maximum; it was 10",
    ),
    "no longer summed": (
        lambda p: parameter(p, "amount").pop("sum"),
        MAJOR,
        "paid.amount is no longer summed up",
    ),
    "summed": (
        lambda p: parameter(p, "count").update(sum=True),
        MINOR,
        "paid.count is summed up",
    ),
    "minimum set": (
        lambda p: parameter(p, "count").update(minimum=1),
        MAJOR,
        "paid.count has the minimum 1",
    ),
    "maximum set": (
        lambda p: parameter(p, "count").update(maximum=1),
        MAJOR,
        "paid.count has the maximum 1",
    ),
    "value removed": (
        lambda p: parameter(p, "kind").update(values=["a"]),
        MAJOR,
        "paid.kind may no longer be b",
    ),
    "value added": (
        lambda p: parameter(p, "kind").update(values=["a", "b", "c"]),
        MINOR,
        "paid.kind may also be c",
    ),
    "values in another order": (
        lambda p: parameter(p, "kind").update(values=["b", "a"]),
        PATCH,
        "paid.kind lists its values in another order",
    ),
    "values given up": (
        lambda p: parameter(p, "kind").pop("values"),
        MINOR,
        "paid.kind may be any text",
    ),
    "values set": (
        lambda p: parameter(p, "note").update(values=["a"]),
        MAJOR,
        "paid.note may only be a",
    ),
    "trait removed": (
        lambda p: p["traits"]["person"].pop("fullName"),
        MAJOR,
        "person trait fullName is no longer stored as name",
    ),
    "trait added": (
        lambda p: p["traits"]["account"].update(csm="csm"),
        MINOR,
        "account trait csm is stored as csm",
    ),
    "trait under another name": (
        lambda p: p["traits"]["account"].update(plan="account_plan"),
        MAJOR,
        "account trait plan is stored as account_plan, no longer as plan",
    ),
    "sender removed": (lambda p: p["senders"].pop("other"), MAJOR, "sender other is removed"),
    "sender added": (
        lambda p: p["senders"].update(
            new={"sender": "new", "mappings": [{"call": "a", "as": "paid"}]}
        ),
        MINOR,
        "sender new is new, with 1 mappings",
    ),
    "address no longer verified": (
        lambda p: p["senders"]["other"].pop("verified_email"),
        MAJOR,
        "sender other sends email addresses that no longer identify a person",
    ),
    "consent needed": (
        lambda p: p.update(needed_consent="Analytics"),
        MAJOR,
        "consent is needed for Analytics, no longer for nothing",
    ),
    "mapping removed": (
        lambda p: mappings(p).pop(3),
        MAJOR,
        "tool u “U” no longer becomes left",
    ),
    "mapping of new words": (
        lambda p: mappings(p).append({"call": "v", "as": "paid"}),
        MINOR,
        "tool v becomes paid",
    ),
    "mapping before another": (
        at_first({"where": "a == 'z'"}),
        MAJOR,
        "tool t where a == 'z' becomes left, ahead of paid",
    ),
    "condition before what had none": (
        lambda p: mappings(p).append({"call": "u", "event": "U", "as": "paid", "where": "b"}),
        MAJOR,
        "tool u “U” where b becomes paid, no longer left",
    ),
    "mapping to another event": (
        lambda p: mappings(p)[3].update({"as": "paid"}),
        MAJOR,
        "tool u “U” becomes paid, no longer left",
    ),
    "mappings in another order": (
        lambda p: mappings(p).insert(0, mappings(p).pop(1)),
        MAJOR,
        "tool t tries its mappings in another order",
    ),
    "property from elsewhere": (
        lambda p: mappings(p)[0].update(properties={"kind": "kk"}),
        MAJOR,
        "tool t where a == 'x' fills kind from kk, no longer from k",
    ),
    "property no longer filled": (
        lambda p: mappings(p)[0].pop("properties"),
        MAJOR,
        "tool t where a == 'x' no longer fills kind from k",
    ),
    "property filled too": (
        lambda p: mappings(p)[0]["properties"].update(note="n"),
        MINOR,
        "tool t where a == 'x' fills note from n",
    ),
}


def plan(content: dict[str, Any]) -> TrackingPlan:
    return TrackingPlan.model_validate(content)


def mutated(mutation: Mutation) -> dict[str, Any]:
    content = copy.deepcopy(PLAN)
    mutation(content)
    return content


@pytest.mark.parametrize("what", MUTATIONS)
def test_one_change_is_one_change_of_its_level(what: str) -> None:
    mutation, level, said = MUTATIONS[what]
    found = changes(plan(PLAN), plan(mutated(mutation)))
    assert [(str(change), change.level) for change in found] == [(said, level)]


def test_a_condition_that_changed_is_one_mapping_less_and_another_more() -> None:
    changed = mutated(lambda p: mappings(p)[1].update(where="a == 'z'"))
    assert [str(change) for change in changes(plan(PLAN), plan(changed))] == [
        "tool t where a == 'y' no longer becomes left",
        "tool t where a == 'z' becomes left, no longer left",
    ]


def test_a_condition_in_place_of_what_had_none_breaks() -> None:
    changed = mutated(lambda p: mappings(p)[3].update(where="b"))
    found = changes(plan(PLAN), plan(changed))
    assert [str(change) for change in found if change.breaking] == [
        "tool u “U” no longer becomes left",
        "tool u “U” where b becomes left, no longer left",
    ]


def test_a_condition_after_others_and_before_nothing_breaks_nothing() -> None:
    before = mutated(lambda p: mappings(p).pop(2))
    after = copy.deepcopy(before)
    mappings(after).append({"call": "t", "as": "paid", "where": "a == 'z'"})
    assert required_level(changes(plan(before), plan(after))) is MINOR


def test_the_version_is_no_change() -> None:
    assert changes(plan(PLAN), plan(PLAN | {"version": "9.9.9"})) == []


def test_breaking_changes_come_first() -> None:
    changed = mutated(lambda p: (paid(p).update(description="M."), p["events"].pop("left")))
    assert [one.breaking for one in changes(plan(PLAN), plan(changed))] == [True, False]


# Any plan, and any single change of any plan.

NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
TEXTS = st.sampled_from(["one", "two", "three"])
LIMITS = st.none() | st.integers(0, 3)
PARAMETERS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["string", "integer", "number", "boolean"]),
        "unit": st.none() | TEXTS,
        "required": st.booleans(),
        "minimum": LIMITS,
        "maximum": LIMITS,
        "values": st.none() | st.lists(TEXTS, unique=True, max_size=3),
        "sum": st.booleans(),
    }
)
EVENTS = st.fixed_dictionaries(
    {
        "category": TEXTS,
        "description": TEXTS,
        "conversion": st.sampled_from([None, "macro", "micro"]),
        "high_intent": st.booleans(),
        "owns_account": st.booleans(),
        "parameters": st.dictionaries(NAMES, PARAMETERS, max_size=3),
    }
)
MAPPINGS = st.fixed_dictionaries(
    {
        "call": TEXTS,
        "event": st.none() | TEXTS,
        "as": st.just("alpha"),
        "where": st.none() | st.sampled_from(["a", "b == 'x'", "c"]),
        "properties": st.dictionaries(NAMES, TEXTS, max_size=2),
    }
)
SENDERS = st.fixed_dictionaries(
    {
        "verified_email": st.booleans(),
        "mappings": st.lists(
            MAPPINGS, max_size=5, unique_by=lambda one: (one["call"], one["event"], one["where"])
        ),
    }
)
TRAITS = st.dictionaries(NAMES, TEXTS, max_size=2)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    events = draw(st.dictionaries(NAMES, EVENTS, max_size=3)) | {"alpha": draw(EVENTS)}
    senders = draw(st.dictionaries(NAMES, SENDERS, max_size=2))
    return {
        "version": "1.0.0",
        "traits": {"person": draw(TRAITS), "account": draw(TRAITS)},
        "events": {name: {"name": name, **one} for name, one in events.items()},
        "senders": {name: {"sender": name, **one} for name, one in senders.items()},
    }


@settings(deadline=None, max_examples=60)
@given(plans())
def test_a_plan_compared_with_itself_has_no_changes(content: dict[str, Any]) -> None:
    assert changes(plan(content), plan(copy.deepcopy(content))) == []


@settings(deadline=None, max_examples=60)
@given(plans(), plans())
def test_plans_without_changes_between_them_are_equal(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    found = changes(plan(old), plan(new))
    assert bool(found) == (_comparable(plan(old)) != _comparable(plan(new)))
    assert required_level(found) in ({None} if not found else {PATCH, MINOR, MAJOR})


@settings(deadline=None, max_examples=60)
@given(plans(), st.data())
def test_any_single_change_is_found(content: dict[str, Any], data: st.DataObject) -> None:
    """A leaf is set to another value, or a member is taken away: the comparison says something."""
    changed = copy.deepcopy(content)
    spots = list(_spots(changed))
    holder, key, kind = data.draw(st.sampled_from(spots))
    if kind == "member":
        del holder[key]
    else:
        values = [one for one in OTHER_VALUES[key] if one != holder[key]]
        holder[key] = data.draw(st.sampled_from(values))
    old, new = plan(content), plan(changed)
    if _comparable(old) == _comparable(new):
        return
    found = changes(old, new)
    assert found
    assert all(isinstance(one, Change) and one.text for one in found)


OTHER_VALUES: dict[str, list[Any]] = {
    "type": ["string", "integer", "number", "boolean"],
    "unit": [None, "one", "four"],
    "required": [True, False],
    "minimum": [None, 0, 5],
    "maximum": [None, 0, 5],
    "values": [None, ["one"], ["one", "four"]],
    "sum": [True, False],
    "category": ["one", "four"],
    "description": ["one", "four"],
    "conversion": [None, "macro", "micro"],
    "high_intent": [True, False],
    "owns_account": [True, False],
    "verified_email": [True, False],
    "call": ["one", "four"],
    "event": [None, "four"],
    "where": [None, "d"],
}


def _spots(content: Any) -> Any:
    """(holder, key, kind) of everything that can be changed alone."""
    for whose in content["traits"].values():
        yield from ((whose, name, "member") for name in whose)
    for name, event in content["events"].items():
        yield from ((event, key, "leaf") for key in event if key in OTHER_VALUES)
        if name != "alpha":
            yield content["events"], name, "member"
        for one, parameter in event["parameters"].items():
            yield event["parameters"], one, "member"
            yield from ((parameter, key, "leaf") for key in parameter)
    for name, sender in content["senders"].items():
        yield content["senders"], name, "member"
        yield sender, "verified_email", "leaf"
        for index, mapping in enumerate(sender["mappings"]):
            yield sender["mappings"], index, "member"
            yield from ((mapping, key, "leaf") for key in ("call", "event", "where"))
            yield from ((mapping["properties"], one, "member") for one in mapping["properties"])


def _comparable(one: TrackingPlan) -> Any:
    """What a plan means: of mappings, the order counts among those of the same words only."""
    whole = one.model_dump(exclude={"senders"})
    senders = {
        name: (words.verified_email, dict(words.index)) for name, words in one.senders.items()
    }
    return whole, senders


def test_the_repositorys_plan_compared_with_itself_has_no_changes() -> None:
    assert changes(load_plan(), load_plan()) == []


@pytest.mark.parametrize(
    ("level", "expected"), [(PATCH, "1.2.4"), (MINOR, "1.3.0"), (MAJOR, "2.0.0")]
)
def test_a_version_is_raised(level: Level, expected: str) -> None:
    assert str(Version(1, 2, 3).raised(level)) == expected


@pytest.mark.parametrize("text", ["1.0", "1.0.0.0", "01.0.0", "1.0.x", "", "v1.0.0", "1.0.0-rc1"])
def test_what_is_no_version(text: str) -> None:
    assert Version.parse(text) is None
