"""Schema and names that are rendered say what the plan does to events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from desireline.errors import InvalidEventError
from desireline.plan.event_names import EventName
from desireline.plan.tracking_plan import Parameter, PlannedEvent, SenderMapping, load_plan
from desireline_operate.plan.describe import allowed
from docs.render.tracking_plan import tracking_plan_page
from docs.render.tracking_plan_schema import schema

PLAN = load_plan()
VALIDATOR = Draft202012Validator(schema())
AS_IT_IS = SenderMapping.model_validate({"call": "track", "as": "any"})

junk = (
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.integers(2**53, 2**54)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=5)
    | st.sampled_from(["user", "good", "inbound", "x" * 1000, "x" * 1001])
)


def valid(event: PlannedEvent, properties: object) -> bool:
    return VALIDATOR.is_valid(
        {"name": event.name, "category": event.category, "properties": properties}
    )


@st.composite
def events_with_properties(draw: st.DrawFn) -> tuple[PlannedEvent, dict[str, object]]:
    planned = [event for event in PLAN.events.values() if event.parameters]
    event = draw(st.sampled_from(planned))
    names = st.sampled_from([*event.parameters, "unplanned"])
    return event, draw(st.dictionaries(names, junk, max_size=len(event.parameters)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


@settings(deadline=None)
@given(events_with_properties())
def test_what_receive_lets_through_satisfies_the_schema(
    found: tuple[PlannedEvent, dict[str, object]],
) -> None:
    event, properties = found
    try:
        kept = event.properties(AS_IT_IS, {}, properties)
    except InvalidEventError:
        assert not valid(event, properties)
    else:
        assert valid(event, kept)


@settings(deadline=None)
@given(events_with_properties())
def test_what_satisfies_the_schema_receive_lets_through_unchanged(
    found: tuple[PlannedEvent, dict[str, object]],
) -> None:
    event, properties = found
    if valid(event, properties):
        assert event.properties(AS_IT_IS, {}, properties) == properties


def test_the_schema_knows_category_and_names() -> None:
    good = {"name": "task_created", "category": "product", "properties": {}}
    assert VALIDATOR.is_valid(good)
    assert not VALIDATOR.is_valid(good | {"category": "site"})
    assert not VALIDATOR.is_valid(good | {"name": "task_invented"})


def test_the_names_are_those_of_the_plan() -> None:
    assert [str(name) for name in EventName] == list(PLAN.events)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(None, None, ""), (0, None, "0 and more"), (None, 5, "5 and less"), (0, 0.5, "0 to 0.5")],
)
def test_a_range_in_words(low: float | None, high: float | None, said: str) -> None:
    assert allowed(Parameter(type="number", minimum=low, maximum=high)) == said


def test_the_page_shows_parameters_units_ranges_conversions_and_mappings() -> None:
    page = tracking_plan_page()
    assert "| `scroll_depth` | number | % | 0 to 100 |  |  |" in page
    assert "Somebody looked at the prices. *Micro conversion, high intent.*" in page
    assert "| `track` | Invite Sent |  | [team_member_invited](#team_member_invited) |  |" in page
    assert "`role` from `traits.role`" in page
