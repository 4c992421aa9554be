"""What can be said of a JMESPath expression before any message has come.

At run time an expression that fails finds nothing, for senders send anything; a misspelt function
would find nothing for ever, and nobody would be told.
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
from desireline_operate.plan.draft import meant
from desireline_operate.plan.locations import an

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
"""Types of parameters, and what each takes."""
_LOOKS = frozenset({"field", "identity", "current", "value_projection", "flatten"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def mistakes(expression: str) -> list[str]:
    """What is wrong with it, each with what to do; empty if nothing is."""
    try:
        node = _parsed(expression)
    except JMESPathError as error:
        return [f"is not JMESPath: {str(error).splitlines()[0]}"]
    found = [problem for one in _nodes(node) if (problem := _called_wrongly(one))]
    for token in Lexer().tokenize(expression):
        text = str(token["value"])
        if token["type"] == "quoted_identifier" and _NAME.fullmatch(text):
            found.append(
                f"looks for a field {text}: for the text write '{text}', for the field no quotes"
            )
    return found


def constant(condition: str) -> str:
    """What is to be said of a condition that never depends on the message; else empty."""
    node = _parsed(condition)
    if not any(one["type"] in _LOOKS for one in _nodes(node)):
        always = jmespath.search(condition, None) is True
        said = "always holds: leave `where` out" if always else "never holds"
        return f"looks at nothing in the message, and {said}"
    calls = node["type"] == "function_expression" and node["value"] in _NOT_YES_OR_NO
    if calls or node["type"].startswith("multi_select"):
        return "is never true or false: compare what it finds with something"
    return ""


def unfit(path: str, name: str, parameter: Parameter) -> str:
    """Why no message's value can be one of the parameter; empty if one may be, as far as the form
    of the path shows."""
    node = _parsed(path)
    if not any(one["type"] in _LOOKS for one in _nodes(node)):
        try:
            value = jmespath.search(path, None)
            return "" if value is None else _refused(parameter, name, value)
        except (JMESPathError, TypeError):
            return "is a constant that always fails"
    kind = _kind(node)
    if kind in _FITTING[parameter.type] or not kind:
        return ""
    return f"finds {an(kind)}, and {name} is {an(parameter.type)}"


def hides(earlier: str, later: str) -> bool:
    """Whether every message for which the later condition holds satisfies the earlier one too, as
    far as their form shows."""
    return _implies(_parsed(later), _parsed(earlier))


def _refused(parameter: Parameter, name: str, value: object) -> str:
    try:
        parameter.checked(name, value)
    except InvalidEventError as error:
        return f"is always {value!r}, and {error.detail}"
    return ""


def _kind(node: Node) -> str:
    """What it finds if it finds anything: empty where the form does not tell."""
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
    """Raises JMESPathError."""
    return dict(jmespath.compile(expression).parsed)


def _implies(node: Node, other: Node) -> bool:
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
    if not all(one["type"] == "function_expression" for one in (node, other)):
        return False
    if not (node["value"] == other["value"] == "starts_with"):
        return False
    (looked_at, begins), (other_looked_at, other_begins) = node["children"], other["children"]
    literal = begins["type"] == other_begins["type"] == "literal"
    return (
        literal
        and looked_at == other_looked_at
        and str(begins["value"]).startswith(str(other_begins["value"]))
    )


def _boolean(node: Node) -> bool:
    """Whether it is true or false whenever it is anything."""
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
    """Functions fail on types that they do not take, and the whole condition with them."""
    return any(one["type"] == "function_expression" for one in _nodes(node))


def _called_wrongly(node: Node) -> str:
    if node["type"] != "function_expression":
        return ""
    name, given = node["value"], len(node["children"])
    if name not in _FUNCTIONS:
        return f"calls {name}, which JMESPath does not have{meant(name, _FUNCTIONS)}"
    signature = _FUNCTIONS[name]["signature"]
    variadic = bool(signature and signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        return f"calls {name} with {given} arguments: it takes {len(signature)}"
    return ""


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node["children"]:
        if isinstance(part, dict):
            yield from _nodes(part)
