"""Whatever a message holds, the plan's conditions and paths find what JMESPath does, or nothing."""

from __future__ import annotations

import re
from typing import Any

import jmespath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from desireline.plan.jmespath_functions import compiled
from desireline.plan.tracking_plan import SenderMapping, load_plan

PLAN = load_plan()
MAPPINGS = [
    mapping
    for words in PLAN.senders.values()
    for mapping in words.mappings
    if mapping.where or mapping.properties
]
PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*")
STEP = re.compile(r"\w+")
JUNK = st.sampled_from(
    [None, True, False, 0, 3, 2**70, 1.5, "", "x", "/pricing", "active", "trialing", [], [1], {}]
) | st.recursive(st.integers() | st.text(max_size=3), lambda deep: st.lists(deep, max_size=2))


@st.composite
def mappings_with_messages(draw: st.DrawFn) -> tuple[SenderMapping, dict[str, Any]]:
    mapping = draw(st.sampled_from(MAPPINGS))
    message: dict[str, Any] = {}
    for expression in (mapping.where or "", *mapping.properties.values()):
        for path in PATH.findall(re.sub(r"'[^']*'", "", expression)):
            if draw(st.booleans()):
                _put(message, STEP.findall(path), draw(JUNK))
    return mapping, message


def _put(holder: Any, steps: list[str], value: object) -> None:
    """Makes the way, objects and lists, as far as nothing else stands in it."""
    for here, following in zip(steps, [*steps[1:], None], strict=True):
        new: Any = value if following is None else [{}] if following.isdigit() else {}
        if here.isdigit():
            if not isinstance(holder, list) or len(holder) != 1:
                return
            holder[0] = value if following is None else holder[0]
            holder = holder[0]
        elif isinstance(holder, dict):
            holder = holder.setdefault(here, new)
        else:
            return


def _meant(expression: str, message: object) -> object:
    try:
        return jmespath.search(expression, message)
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        return None


@settings(deadline=None)
@given(mappings_with_messages())
def test_a_condition_holds_where_jmespath_says_true(
    found: tuple[SenderMapping, dict[str, Any]],
) -> None:
    mapping, message = found
    meant = mapping.where is None or _meant(mapping.where, message) is True
    assert mapping.matches(message) is meant


@settings(deadline=None)
@given(mappings_with_messages())
def test_a_path_finds_what_jmespath_finds(found: tuple[SenderMapping, dict[str, Any]]) -> None:
    mapping, message = found
    for name, search in mapping.paths:
        assert search(message) == _meant(mapping.properties[name], message)


LEAVES = st.sampled_from(
    [
        "a",
        "b",
        "a.b",
        "a.b.c",
        "a[0]",
        "a[-1].b",
        "b[1]",
        "@",
        "'x'",
        "`1`",
        "`0`",
        "`true`",
        "`[]`",
    ]
    + ["a[*].b", "a[].b", "b.*", "a[?b == 'x']", "a[0:1]", "{x: a}", "a | b", "max_by(a, &b)"]
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds("({} {} {})".format, parts, st.sampled_from(["&&", "||"]), parts),
        st.builds("!({})".format, parts),
        st.builds(
            "({}) {} ({})".format, parts, st.sampled_from(["==", "!=", "<", ">", "<=", ">="]), parts
        ),
        st.builds("[{}, {}]".format, parts, parts),
        st.builds("{}({})".format, st.sampled_from(["to_number", "length", "type", "sum"]), parts),
        st.builds("to_array({})[{}].b".format, parts, st.integers(-2, 1)),
        st.builds(
            "{}({}, {})".format,
            st.sampled_from(["starts_with", "ends_with", "contains"]),
            parts,
            parts,
        ),
        st.builds("starts_with({}, 'x')".format, parts),
    ),
    max_leaves=6,
)
MESSAGES = st.recursive(
    JUNK,
    lambda deep: st.lists(deep, max_size=2) | st.dictionaries(st.sampled_from("abc"), deep),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(EXPRESSIONS, MESSAGES)
@example("!(a)", {"a": 0})
@example("(a || b)", {"a": 0, "b": 1})
@example("(a) == (`1`)", {"a": True})
@example("(a) == (`0`)", {"a": False})
@example("(a) < (b)", {"a": True, "b": 2})
@example("a[-1].b", {"a": [{"b": 1}, {"b": 2}]})
@example("(starts_with(a, 'x') || @)", {})
@example("to_array(a)[0].b", {"a": {"b": 1}})
@example("to_array(a)[0].b", {"a": [{"b": 1}]})
@example("ends_with(a, b)", {"a": "xy", "b": "y"})
@example("ends_with(a, 'y')", {"a": ["y"]})
def test_any_expression_finds_what_jmespath_finds(expression: str, message: Any) -> None:
    found, meant = compiled(expression)(message), _meant(expression, message)
    assert (type(found), found) == (type(meant), meant)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("n > `1`", {"n": "2"}),
        ("contains(a, b)", {"a": "x", "b": 3}),
        ("starts_with(a, 'x')", {}),
        ("ceil(n) == `1`", {"n": 1e400}),
        ("max_by(a, &b).b == `1`", {"a": [{"b": 1}, {"b": "x"}]}),
    ],
)
def test_a_condition_that_fails_on_a_message_does_not_hold(where: str, message: object) -> None:
    mapping = SenderMapping.model_validate({"call": "any", "as": "any", "where": where})
    assert mapping.matches(message) is False


def test_a_condition_on_a_message_nested_too_deeply_does_not_hold() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    mapping = SenderMapping.model_validate({"call": "any", "as": "any", "where": "a == b"})
    assert mapping.matches({"a": deep, "b": [deep]}) is False
