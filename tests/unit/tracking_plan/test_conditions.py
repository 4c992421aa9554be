"""What is said of a JMESPath expression is so, whatever messages come."""

from __future__ import annotations

import jmespath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from desireline_local.plan.conditions import constant, hides, mistakes

ATOMS = st.sampled_from(
    [
        "a == 'x'",
        "a == 'y'",
        "b",
        "!b",
        "b == `true`",
        "n > `1`",
        "n > m",
        "starts_with(a || '', 'x')",
        "starts_with(a || '', 'xy')",
        "starts_with(a, 'x')",
        "contains(['x', 'y'], a)",
        "ends_with(a, 'y')",
    ]
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda parts: st.builds(
        lambda left, word, right: f"({left} {word} {right})",
        parts,
        st.sampled_from(["&&", "||"]),
        parts,
    ),
    max_leaves=4,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(["x", "y", "xy", "xyz", "", None, 3, ["x"]]),
        "b": st.sampled_from([True, False, None, "x", 0, []]),
        "n": st.sampled_from([0, 1, 2, "2", None]),
        "m": st.sampled_from([0, 1, None]),
    },
)


def holds(condition: str, message: object) -> bool:
    try:
        return jmespath.search(condition, message) is True
    except (JMESPathError, TypeError):
        return False


@settings(deadline=None)
@given(CONDITIONS, CONDITIONS, MESSAGES)
@example("a == 'x'", "(starts_with(a, 'x') || a == 'x')", {})
@example("(b && a == 'x')", "b", {"a": "x", "b": "x"})
def test_what_is_hidden_never_holds_alone(later: str, earlier: str, message: object) -> None:
    if hides(earlier, later) and holds(later, message):
        assert holds(earlier, message)


@settings(deadline=None)
@given(CONDITIONS, MESSAGES)
def test_a_condition_that_holds_sometimes_is_not_called_constant(
    condition: str, message: object
) -> None:
    assert constant(condition) == "" or not holds(condition, message)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("a == 'x'", "a=='x'"),
        ("starts_with(a || '', '/docs')", "starts_with(a || '', '/docs/api')"),
        ("a == 'x'", "a == 'x' && b == 'y'"),
        ("a == 'x' || b == 'y'", "b == 'y'"),
        ("a == 'x' || b == 'y'", "b == 'y' || a == 'x'"),
    ],
)
def test_what_hides_what(earlier: str, later: str) -> None:
    assert hides(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("a == 'x'", "a == 'y'"),
        ("starts_with(a || '', '/docs/api')", "starts_with(a || '', '/docs')"),
        ("starts_with(a || '', '/docs')", "starts_with(b || '', '/docs/api')"),
        ("a == 'x' && b == 'y'", "a == 'x'"),
        ("b", "b && a == 'x'"),
    ],
)
def test_what_hides_nothing(earlier: str, later: str) -> None:
    assert not hides(earlier, later)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a ==", "is not JMESPath: Invalid jmespath expression: Incomplete expression:"),
        ("start_with(a, 'x')", "calls start_with, which JMESPath does not have (did you mean"),
        ("starts_with(a)", "calls starts_with with 1 arguments: it takes 2"),
        ("type(a, b)", "calls type with 2 arguments: it takes 1"),
        ('mode == "setup"', "looks for a field setup: for the text write 'setup'"),
        ("a[?b == nothing(c)]", "calls nothing, which JMESPath does not have"),
    ],
)
def test_a_mistake_is_explained(expression: str, said: str) -> None:
    assert [one for one in mistakes(expression) if one.startswith(said)], mistakes(expression)


@pytest.mark.parametrize("expression", ["not_null(a, b, c)", 'data."key-x"', "a[0].b", "'x'"])
def test_what_is_right_is_not_called_wrong(expression: str) -> None:
    assert mistakes(expression) == []


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("`true`", "looks at nothing in the message, and always holds"),
        ("'x' == 'y'", "looks at nothing in the message, and never holds"),
        ("length(a)", "is never true or false"),
        ("[a, b]", "is never true or false"),
    ],
)
def test_a_condition_that_decides_nothing(condition: str, said: str) -> None:
    assert constant(condition).startswith(said)
