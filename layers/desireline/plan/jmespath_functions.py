"""Compile JMESPath expressions to Python functions, which run faster than the interpreter.

The `jmespath` library parses the expression. Its interpreter takes microseconds for each search in
a message, and a batch of 500 events takes thousands of searches. So this module turns the usual
parts of an expression into functions and leaves all other parts to the interpreter. A property
test compares the results of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import jmespath
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

FAILED = (ArithmeticError, RecursionError, TypeError, ValueError)
"""The errors that a search raises on a message. JMESPath's own error is a ValueError; the others
come from Python, for example when it compares a text and a number."""

Search = Callable[[Any], Any]

_INTERPRETER: Final = TreeInterpreter()
_FUNCTIONS: Final = Functions()
_COMPARED: Final = TreeInterpreter.COMPARATOR_FUNC
_NEVER_FAIL = frozenset(
    {"field", "subexpression", "index_expression", "index", "literal", "current", "identity"}
    | {"or_expression", "and_expression", "not_expression"}
)


def compiled(expression: str) -> Search:
    """Compile an expression to a function that returns its value in a message.

    The function returns None if the message has a type that the expression cannot handle, because
    senders may send any type. Raises JMESPathError for an invalid expression."""
    node = jmespath.compile(expression).parsed
    if (begins := _prefix(node)) is not None:
        return begins
    search = _search(node)
    return search if _never_fails(node) else partial(_search_or_none, search)


def _search_or_none(search: Search, message: Any) -> Any:
    try:
        return search(message)
    except FAILED:
        return None


def _search(node: Any) -> Search:
    """Compile a node to a function that raises the same errors as the interpreter."""
    if (steps := _steps(node)) is not None:
        return _path(steps)
    rule = _RULES.get(node["type"])
    if rule is None or any(part["type"] == "expref" for part in node["children"]):
        return partial(_INTERPRETER.visit, node)
    return rule(node)


def _path(steps: list[str | int]) -> Search:
    names = [step for step in steps if isinstance(step, str)]
    if len(names) < len(steps):
        return partial(_walk, steps)
    return partial(_field, names[0]) if len(names) == 1 else partial(_fields, names)


def _literal(node: Any) -> Search:
    value = node["value"]
    return lambda _: value


def _comparison(node: Any) -> Search:
    operator, (left, right) = node["value"], _searches(node)
    other = node["children"][1]
    text = other["value"] if other["type"] == "literal" else None
    if operator == "eq" and isinstance(text, str):
        return lambda message: left(message) == text
    return partial(_compare, _COMPARED[operator], operator in ("eq", "ne"), left, right)


_RULES: Final[Mapping[str, Callable[[Any], Search]]] = {
    "literal": _literal,
    "comparator": _comparison,
    "or_expression": lambda node: partial(_first, [_search(part) for part in _choices(node)]),
    "and_expression": lambda node: partial(_both, *_searches(node)),
    "not_expression": lambda node: partial(_not, *_searches(node)),
    "multi_select_list": lambda node: partial(_list, _searches(node)),
    "function_expression": lambda node: partial(_call, _function(node["value"]), _searches(node)),
    "subexpression": lambda node: partial(_chain, _searches(node)),
    "index_expression": lambda node: partial(_chain, _searches(node)),
}


def _function(name: str) -> Callable[..., Any]:
    """Return a JMESPath function by name.

    Frequent functions have an implementation here, because the library checks the signature at
    each call."""
    return _OWN.get(name) or (lambda *arguments: _FUNCTIONS.call_function(name, arguments))


def _prefix(node: Any) -> Search | None:
    """Compile `starts_with(expression, 'text')`, the usual condition on pages.

    Returns None for all other nodes, and if the expression may fail."""
    if node["type"] != "function_expression" or node["value"] != "starts_with":
        return None
    subject, prefix = node["children"]
    text = prefix.get("value")
    if not (prefix["type"] == "literal" and isinstance(text, str) and _never_fails(subject)):
        return None
    return partial(_begins, _search(subject), text)


def _steps(node: Any) -> list[str | int] | None:
    """Return the names and indexes of a plain path such as `a.b[0]`; None for other nodes."""
    match node["type"]:
        case "field" | "index":
            return [node["value"]]
        case "subexpression" | "index_expression":
            below = [_steps(part) for part in node["children"]]
            flat = [step for steps in below if steps is not None for step in steps]
            return None if None in below else flat
        case _:
            return None


def _choices(node: Any) -> list[Any]:
    """Flatten `a || b || c`, which the library parses as `(a || b) || c`, to three nodes."""
    left, right = node["children"]
    return [*(_choices(left) if left["type"] == "or_expression" else [left]), right]


def _searches(node: Any) -> list[Search]:
    return [_search(part) for part in node["children"]]


def _never_fails(node: Any) -> bool:
    return node["type"] in _NEVER_FAIL and all(map(_never_fails, node["children"]))


def _true(value: Any) -> bool:
    """Tell whether a value is true in JMESPath, where 0 is true."""
    return bool(value) or (value == 0 and value is not False)


def _field(name: str, value: Any) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _fields(names: list[str], value: Any) -> Any:
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _walk(steps: list[str | int], value: Any) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _first(parts: list[Search], message: Any) -> Any:
    value = None
    for part in parts:
        value = part(message)
        if value or (value == 0 and value is not False):
            break
    return value


def _both(left: Search, right: Search, message: Any) -> Any:
    value = left(message)
    return right(message) if _true(value) else value


def _not(part: Search, message: Any) -> bool:
    return not _true(part(message))


def _compare(
    compared: Callable[[Any, Any], Any], equality: bool, left: Search, right: Search, message: Any
) -> Any:
    one, other = left(message), right(message)
    return compared(one, other) if equality or (_ordered(one) and _ordered(other)) else None


def _ordered(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _list(parts: list[Search], message: Any) -> list[Any] | None:
    return None if message is None else [part(message) for part in parts]


def _call(function: Callable[..., Any], parts: list[Search], message: Any) -> Any:
    return function(*[part(message) for part in parts])


def _chain(parts: list[Search], value: Any) -> Any:
    for part in parts:
        value = part(value)
    return value


def _to_array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _ends_with(text: Any, end: Any) -> bool:
    return str.endswith(text, end)


_OWN: Final[Mapping[str, Callable[..., Any]]] = {"to_array": _to_array, "ends_with": _ends_with}


def _begins(search: Search, text: str, message: Any) -> bool | None:
    value = search(message)
    return value.startswith(text) if isinstance(value, str) else None
