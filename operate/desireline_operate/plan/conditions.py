"""Check JMESPath expressions without a message.

At run time an expression that fails finds nothing, because senders may send anything. A misspelt
function would always find nothing, and no error would name it. These checks do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.lexer import Lexer

from desireline.errors import InvalidEventError
from desireline.plan.tracking_plan import Parameter
from desireline_operate.plan.draft import did_you_mean
from desireline_operate.plan.locations import with_article

Node = dict[str, Any]

_FUNCTIONS = Functions.FUNCTION_TABLE
_YES_OR_NO = frozenset({"contains", "starts_with", "ends_with"})
_NOT_YES_OR_NO = frozenset(
    {"abs", "avg", "ceil", "floor", "join", "keys", "length", "map", "merge", "reverse", "sort"}
    | {"sort_by", "sum", "to_array", "to_number", "to_string", "type", "values"}
)
_KINDS = {
    "number": {"abs", "avg", "ceil", "floor", "length", "sum", "to_number"},
    "string": {"join", "to_string", "type"},
    "list": {"keys", "map", "sort", "sort_by", "to_array", "values"},
    "object": {"merge"},
}
_FITTING = {
    "string": {"string", "number", "boolean"},
    "integer": {"number"},
    "number": {"number"},
    "boolean": {"boolean"},
}
"""The types of parameters, and the kinds of values that each accepts."""
_LOOKS = frozenset({"field", "identity", "current", "value_projection", "flatten"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def mistakes(expression: str) -> list[str]:
    """List the errors of an expression, each with its correction; empty if it is correct."""
    try:
        node = _parsed(expression)
    except JMESPathError as error:
        return [f"is not JMESPath: {str(error).splitlines()[0]}"]
    result = [problem for part in _nodes(node) if (problem := _wrong_call(part))]
    for token in Lexer().tokenize(expression):
        text = str(token["value"])
        if token["type"] == "quoted_identifier" and _NAME.fullmatch(text):
            result.append(
                f"looks for a field {text}: write '{text}' for the text, {text} for the field"
            )
    return result


def constant(condition: str) -> str:
    """Describe a condition whose result never depends on the message; empty for others."""
    node = _parsed(condition)
    if not any(part["type"] in _LOOKS for part in _nodes(node)):
        always = jmespath.search(condition, None) is True
        result = "always holds: leave `where` out" if always else "never holds: correct it"
        return f"uses no field of the message, and {result}"
    calls = node["type"] == "function_expression" and node["value"] in _NOT_YES_OR_NO
    if calls or node["type"].startswith("multi_select"):
        return "is never true or false: compare its result with a value"
    return ""


def unfit(path: str, name: str, parameter: Parameter) -> str:
    """Explain why the path can never give a value of the parameter's type; empty if it may, as far
    as the form of the path shows."""
    node = _parsed(path)
    if not any(part["type"] in _LOOKS for part in _nodes(node)):
        try:
            value = jmespath.search(path, None)
            return "" if value is None else _refused(parameter, name, value)
        except (JMESPathError, TypeError):
            return "is a constant that always fails: correct it"
    kind = _kind(node)
    if kind in _FITTING[parameter.type] or not kind:
        return ""
    expected = with_article(parameter.type)
    return f"finds {with_article(kind)}, but {name} is {expected}: correct the path or the type"


def hides(earlier: str, later: str) -> bool:
    """Return whether the earlier condition holds for every message for which the later one holds,
    as far as their form shows."""
    return _implies(_parsed(later), _parsed(earlier))


def _refused(parameter: Parameter, name: str, value: object) -> str:
    try:
        parameter.checked(name, value)
    except InvalidEventError as error:
        return f"is always {value!r}, and {error.detail}"
    return ""


def _kind(node: Node) -> str:
    """Return the kind of an expression's result; empty if its form does not show it."""
    if _boolean(node):
        return "boolean"
    match node["type"], node.get("value"):
        case "function_expression", str(name):
            return next((kind for kind, names in _KINDS.items() if name in names), "")
        case (("multi_select_list" | "projection" | "filter_projection" | "flatten"), _):
            return "list"
        case "multi_select_dict", _:
            return "object"
        case "or_expression", _:
            kinds = {_kind(part) for part in node["children"]}
            return kinds.pop() if len(kinds) == 1 else ""
        case _:
            return ""


def _parsed(expression: str) -> Node:
    """Parse an expression. Raises JMESPathError."""
    return dict(jmespath.compile(expression).parsed)


def _implies(node: Node, other: Node) -> bool:
    """Return whether `other` holds whenever `node` holds, as far as their form shows."""
    if node == other:
        return True
    if node["type"] == "or_expression" and _boolean(node):
        return all(_implies(part, other) for part in node["children"])
    if other["type"] == "or_expression" and _boolean(other) and not _may_fail(other):
        return any(_implies(node, part) for part in other["children"])
    if node["type"] == "and_expression" and _boolean(node):
        return any(_implies(part, other) for part in node["children"])
    return _longer_prefix(node, other)


def _longer_prefix(node: Node, other: Node) -> bool:
    """Return whether both test the start of one field, and every match of `node` matches `other`:
    starts_with(path, '/docs/api') implies starts_with(path, '/docs')."""
    if not all(part["type"] == "function_expression" for part in (node, other)):
        return False
    if not (node["value"] == other["value"] == "starts_with"):
        return False
    (field, prefix), (other_field, other_prefix) = node["children"], other["children"]
    literal = prefix["type"] == other_prefix["type"] == "literal"
    return (
        literal
        and field == other_field
        and str(prefix["value"]).startswith(str(other_prefix["value"]))
    )


def _boolean(node: Node) -> bool:
    """Return whether an expression gives only true, false or null."""
    match node["type"]:
        case "comparator" | "not_expression":
            return True
        case "function_expression":
            return node["value"] in _YES_OR_NO
        case "and_expression" | "or_expression":
            return all(_boolean(part) for part in node["children"])
        case _:
            return False


def _may_fail(node: Node) -> bool:
    """Return whether a condition may fail: a function fails on a wrong type of its argument."""
    return any(part["type"] == "function_expression" for part in _nodes(node))


def _wrong_call(node: Node) -> str:
    if node["type"] != "function_expression":
        return ""
    name, count = node["value"], len(node["children"])
    if name not in _FUNCTIONS:
        return f"calls {name}, which JMESPath does not have{did_you_mean(name, _FUNCTIONS)}"
    signature = _FUNCTIONS[name]["signature"]
    variadic = bool(signature and signature[-1].get("variadic"))
    if count < len(signature) or (count > len(signature) and not variadic):
        return f"calls {name} with {count} arguments: it takes {len(signature)}"
    return ""


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node["children"]:
        if isinstance(part, dict):
            yield from _nodes(part)
