"""Whatever stands in a plan's files, the check ends with sentences, and a plan that it finds right
is one that the functions can read."""

from __future__ import annotations

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from desireline.errors import InvalidEventError
from desireline.plan.tracking_plan import load_plan
from desireline_operate.plan.check import check
from tests.unit.plan.small import FILES, Tool, write

CONTENT = {name: yaml.safe_load(text) for name, text in FILES.items()}
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([float("nan"), float("inf"), -0.5])
    | st.sampled_from(
        ["", "x", "string", "trial_signup", "a == 'x'", "a ==", "a[?b]", "é\n", "macro"]
    )
    | st.dates(),
    lambda deep: (
        st.lists(deep, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "as", "call", "where", "x", "limit", 1, None, True]),
            deep,
            max_size=2,
        )
    ),
    max_leaves=4,
)


def _spots(content: Any) -> list[tuple[Any, Any]]:
    keys = list(content) if isinstance(content, dict) else range(len(content))
    found = [(content, key) for key in keys]
    for key in keys:
        if isinstance(content[key], dict | list):
            found += _spots(content[key])
    return found


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, str]:
    """The small plan with some parts of it replaced, taken away or repeated."""
    content = copy.deepcopy(CONTENT)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(_spots(content)))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[key] = draw(JUNK)
            case "remove" if holder is not content:
                del holder[key]
            case "add" if isinstance(holder, list):
                holder.append(draw(JUNK))
            case "add" if holder is not content:
                holder[draw(st.sampled_from(["limit", "x", "sum", "values"]))] = draw(JUNK)
    return {name: yaml.safe_dump(part) for name, part in content.items()}


@settings(deadline=None, max_examples=80)
@given(damaged())
@example({name: "- {" for name in FILES})
@example({name: "a: &a [*a]" for name in FILES})
@example({name: "{[1]: 2}" for name in FILES})
@example({name: "!!python/object:x {}" for name in FILES})
@example({name: "\0" for name in FILES})
def test_the_check_ends_with_sentences(files: dict[str, str]) -> None:
    with TemporaryDirectory() as name:
        folder = write(Path(name), files)
        report = check(folder, senders={"tool": Tool()}, playbooks=folder / "none", sources=())
        assert all(problem.text and problem.file for problem in report.problems)
        if not report.problems:
            _use(folder)


def _use(folder: Path) -> None:
    """As receive uses it: a plan that is right never fails but by refusing an event."""
    plan = load_plan(folder)
    for message in ({}, {"path": "/limit", "what": "seats", "share": "x", "a": "x"}, {"a": 1}):
        for event in ("Limit", "Trial Started"):
            try:
                mapping, planned = plan.find("tool", "track", event, message)
                planned.measures(planned.properties(mapping, message, message))
            except InvalidEventError:
                continue
