"""What is said of a JMESPath expression is so, whatever messages come."""

from __future__ import annotations

import jmespath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from desireline.errors import InvalidEventError
from desireline.plan.jmespath_functions import compiled
from desireline.plan.tracking_plan import Parameter
from desireline_operate.plan.conditions import constant, hides, mistakes, unfit

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
        ('mode == "setup"', "looks for a field setup: write 'setup' for the text"),
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
        ("`true`", "uses no field of the message, and always holds"),
        ("'x' == 'y'", "uses no field of the message, and never holds"),
        ("length(a)", "is never true or false"),
        ("[a, b]", "is never true or false"),
    ],
)
def test_a_condition_that_decides_nothing(condition: str, said: str) -> None:
    assert constant(condition).startswith(said)


PATHS = st.recursive(
    st.sampled_from(["a", "b", "n", "'x'", "`1`", "`true`", "[a]", "{x: a}", "a[]"]),
    lambda parts: st.one_of(
        st.builds("({} || {})".format, parts, parts),
        st.builds("({} && {})".format, parts, parts),
        st.builds(
            "{}({})".format,
            st.sampled_from(["to_string", "to_number", "length", "type", "to_array", "sum"]),
            parts,
        ),
        st.builds("({} == {})".format, parts, parts),
        st.builds("!({})".format, parts),
        st.builds("contains({}, 'x')".format, parts),
    ),
    max_leaves=4,
)
PARAMETERS = st.sampled_from(
    [Parameter(type="string"), Parameter(type="string", values=("x",)), Parameter(type="integer")]
    + [Parameter(type="number", minimum=2), Parameter(type="boolean")]
)


@settings(deadline=None, max_examples=200)
@given(PATHS, PARAMETERS, MESSAGES)
@example("(a == b || length(a))", Parameter(type="boolean"), {"a": "x"})
def test_a_path_that_is_called_unfit_never_fills_the_parameter(
    path: str, parameter: Parameter, message: object
) -> None:
    if not unfit(path, "p", parameter):
        return
    value = compiled(path)(message)
    if value is not None:
        with pytest.raises(InvalidEventError):
            parameter.checked("p", value)


@pytest.mark.parametrize(
    ("path", "parameter", "said"),
    [
        ("to_string(a)", Parameter(type="number"), "finds a string, but p is a number"),
        ("length(a)", Parameter(type="boolean"), "finds a number, but p is a boolean"),
        ("a == 'x'", Parameter(type="integer"), "finds a boolean, but p is an integer"),
        ("[a, b]", Parameter(type="string"), "finds a list, but p is a string"),
        ("{x: a}", Parameter(type="string"), "finds an object, but p is a string"),
        ("a[].b", Parameter(type="string"), "finds a list, but p is a string"),
        ("'x'", Parameter(type="string", values=("y",)), "is always 'x', and p must be one of"),
        ("`7`", Parameter(type="integer", maximum=5), "is always 7, and p must be in"),
        ("sum('x')", Parameter(type="integer"), "is a constant that always fails"),
    ],
)
def test_an_unfit_path_is_explained(path: str, parameter: Parameter, said: str) -> None:
    assert unfit(path, "p", parameter).startswith(said)


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("a", Parameter(type="integer")),
        ("to_number(a)", Parameter(type="integer")),
        ("length(a)", Parameter(type="string")),
        ("a == 'x'", Parameter(type="boolean")),
        ("to_string(a) || length(a)", Parameter(type="number")),
    ],
)
def test_a_path_that_may_fit_is_not_called_unfit(path: str, parameter: Parameter) -> None:
    assert unfit(path, "p", parameter) == ""
