"""Each thing that is wrong in a plan is said with its file, its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from desireline.receive.senders.sender import Sender
from desireline_operate.plan.check import check
from tests.unit.plan.small import Tool, edit, write

PRODUCT, TOOL, HEAD = "events/product.yaml", "senders/tool.yaml", "plan.yaml"
SENDERS: dict[str, Sender] = {"tool": Tool()}

CASES: dict[str, tuple[str, str, str, str]] = {
    # what is wrong: the file, what stands there, what is written instead, what is said
    "a version that is none": (
        HEAD,
        '"1.0.0"',
        '"1.0"',
        "plan.yaml:1: version '1.0' is invalid: write major.minor.patch",
    ),
    "a version that YAML takes for a number": (
        HEAD,
        '"1.0.0"',
        "1.0",
        "plan.yaml:1: version is 1.0: write a text, in quotes",
    ),
    "no version": (HEAD, 'version: "1.0.0"\n', "", "plan.yaml:1: version is missing: add it"),
    "text that is no YAML": (
        PRODUCT,
        "parameters:\n      plan: {type: string}",
        "parameters: {type: [}",
        "events/product.yaml:6: is not YAML",
    ),
    "a file without its category": (
        PRODUCT,
        (
            "category: product\nevents:\n  trial_signup:\n    description: A trial began.\n"
            "    conversion: macro\n    parameters:\n      plan: {type: string}\n"
        ),
        "",
        "events/product.yaml:1: category is missing: add it",
    ),
    "a key written twice": (
        PRODUCT,
        "    conversion: macro\n",
        "    conversion: macro\n    conversion: micro\n",
        "events/product.yaml:6: conversion is already in line 5: keep one",
    ),
    "an event twice in one file": (
        PRODUCT,
        "  limit_reached:",
        "  trial_signup: {description: Again.}\n  limit_reached:",
        "events/product.yaml:8: trial_signup is already in line 3: keep one",
    ),
    "a misspelt field": (
        PRODUCT,
        "conversion: macro",
        "conversoin: macro",
        "events/product.yaml:5: conversoin is not a field of this part (did you mean conversion?)",
    ),
    "a conversion that is none": (
        PRODUCT,
        "conversion: macro",
        "conversion: big",
        "events/product.yaml:5: conversion is 'big': write 'macro' or 'micro'",
    ),
    "a type that is none": (
        PRODUCT,
        "count: {type: integer",
        "count: {type: int",
        "events/product.yaml:13: parameters.count.type is 'int': write 'string', 'integer'",
    ),
    "an event without description": (
        PRODUCT,
        "    description: A trial began.\n",
        "",
        "events/product.yaml:3: description is missing: add it",
    ),
    "a category that is not the file's": (
        PRODUCT,
        "category: product",
        "category: site",
        "events/product.yaml:1: holds the category site: name the file site.yaml",
    ),
    "an event's name with capitals": (
        PRODUCT,
        "  limit_reached:",
        "  LimitReached:",
        "events/product.yaml:8: LimitReached: name events in lower_case_with_underscores",
    ),
    "a parameter named by a word of Python": (
        PRODUCT,
        "count: {type",
        "class: {type",
        "events/product.yaml:13: class is an invalid name",
    ),
    "a minimum above the maximum": (
        PRODUCT,
        "minimum: 0, maximum: 100",
        "minimum: 101, maximum: 100",
        "events/product.yaml:12: used has the minimum 101 above its maximum 100",
    ),
    "a fraction as an integer's minimum": (
        PRODUCT,
        "minimum: 1}",
        "minimum: 0.5}",
        "events/product.yaml:13: count is an integer: its minimum and maximum must be whole",
    ),
    "a minimum that is no number": (
        PRODUCT,
        "minimum: 1}",
        "minimum: .nan}",
        "events/product.yaml:13: count has a limit that is not a finite number",
    ),
    "a sum of texts": (
        PRODUCT,
        "plan: {type: string}",
        "plan: {type: string, sum: true}",
        "events/product.yaml:7: plan is a string and cannot be summed up: remove `sum`",
    ),
    "a minimum of a text": (
        PRODUCT,
        "plan: {type: string}",
        "plan: {type: string, minimum: 1}",
        "events/product.yaml:7: plan is a string and has a minimum: only numbers have one",
    ),
    "a unit of yes and no": (
        PRODUCT,
        "{type: boolean}",
        "{type: boolean, unit: s}",
        "events/product.yaml:14: final is a boolean and has a unit: only numbers have one",
    ),
    "values of a number": (
        PRODUCT,
        "count: {type: integer, minimum: 1}",
        'count: {type: integer, values: ["1"]}',
        "events/product.yaml:13: count is an integer and has `values`: only strings have them",
    ),
    "no values": (
        PRODUCT,
        "[seats, projects]",
        "[]",
        "events/product.yaml:11: limit has an empty list of values",
    ),
    "a value twice": (
        PRODUCT,
        "[seats, projects]",
        "[seats, seats]",
        "events/product.yaml:11: limit has a value twice",
    ),
    "a value longer than texts are kept": (
        PRODUCT,
        "[seats, projects]",
        f"[seats, {'x' * 1001}]",
        "events/product.yaml:11: limit has a value of more than 1000 characters",
    ),
    "an event that nobody reports": (
        PRODUCT,
        "  limit_reached:",
        "  unheard_of: {description: Nobody says it.}\n  limit_reached:",
        "events/product.yaml:8: no sender reports unheard_of: map it in a file in senders/",
    ),
    "an unknown event in a mapping": (
        TOOL,
        "as: limit_reached",
        "as: limit_reachd",
        (
            "senders/tool.yaml:6: becomes limit_reachd, which the plan does not have "
            "(did you mean limit_reached?)"
        ),
    ),
    "a mapping of a parameter that the event does not have": (
        TOOL,
        "used: share",
        "usage: share",
        "senders/tool.yaml:8: fills usage, which limit_reached does not have (did you mean used?)",
    ),
    "a required parameter that nothing fills": (
        TOOL,
        "{limit: what, used: share}",
        "{used: share}",
        "senders/tool.yaml:4: limit_reached requires limit, and no mapping fills it",
    ),
    "a condition that does not compile": (
        TOOL,
        "where: \"starts_with(path || '', '/limit')\"",
        'where: "path =="',
        "senders/tool.yaml:7: the condition is not JMESPath",
    ),
    "a path that does not compile": (
        TOOL,
        "limit: what",
        "limit: what..where",
        "senders/tool.yaml:8: limit: 'what..where' is not JMESPath",
    ),
    "a text for a number": (
        TOOL,
        "used: share",
        "used: to_string(share)",
        "senders/tool.yaml:8: used: 'to_string(share)' finds a string, but used is a number",
    ),
    "a constant that is not allowed": (
        TOOL,
        "limit: what",
        "limit: \"'rooms'\"",
        "senders/tool.yaml:8: limit: \"'rooms'\" is always 'rooms', and limit must be one of",
    ),
    "a condition that is the same for all messages": (
        TOOL,
        "where: \"starts_with(path || '', '/limit')\"",
        'where: "`true`"',
        "senders/tool.yaml:7: the condition uses no field of the message, and always holds",
    ),
    "a mapping that is never reached": (
        TOOL,
        "  - {call: track, event: Limit, as: trial_signup}",
        (
            "  - {call: track, event: Limit, as: trial_signup, "
            "where: \"starts_with(path || '', '/limits')\"}"
        ),
        (
            "senders/tool.yaml:9: this mapping to trial_signup is never reached: the mapping to "
            "limit_reached in line 4 matches all"
        ),
    ),
    "a mapping that repeats one": (
        TOOL,
        "  - {call: track, event: Limit, as: trial_signup}",
        "  - {call: track, event: Trial Started, as: trial_signup}",
        "senders/tool.yaml:9: this mapping to trial_signup is never reached: the mapping to "
        "trial_signup in line 3",
    ),
    "an ignored message that is mapped": (
        TOOL,
        "mappings:",
        "ignored: [{call: track, event: Limit, where: a, why: Noise.}]\nmappings:",
        "senders/tool.yaml:2: this entry of `ignored` is never reached: the mapping to "
        "trial_signup in line 10",
    ),
    "an ignored message that is ignored already": (
        TOOL,
        "mappings:",
        "ignored:\n  - {call: x, why: Noise.}\n  - {call: x, where: a, why: Noise.}\nmappings:",
        "senders/tool.yaml:4: this entry of `ignored` is never reached: the entry of "
        "`ignored` in line 3",
    ),
    "a condition of what is ignored": (
        TOOL,
        "mappings:",
        "ignored: [{call: x, where: 'a ==', why: Noise.}]\nmappings:",
        "senders/tool.yaml:2: the condition is not JMESPath",
    ),
    "something ignored without a reason": (
        TOOL,
        "mappings:",
        "ignored: [{call: x}]\nmappings:",
        "senders/tool.yaml:2: ignored.0.why is missing: add it",
    ),
    "a scheme without places": (
        TOOL,
        "sender: tool",
        "sender: tool\nscheme: standard_webhooks",
        "senders/tool.yaml:2: has a scheme and no `message`: add `message`",
    ),
    "a mapping without a call": (
        TOOL,
        "{call: track, event: Trial Started, as: trial_signup}",
        "{event: Trial Started, as: trial_signup}",
        "senders/tool.yaml:3: call is missing: add it",
    ),
    "a sender's name that is not the file's": (
        TOOL,
        "sender: tool",
        "sender: tol",
        "senders/tool.yaml:1: holds the mappings of tol: name the file tol.yaml",
    ),
    "a sender without code": (
        TOOL,
        "sender: tool",
        "sender: tol",
        "senders/tool.yaml:1: the sender tol has no module (did you mean tool?): write",
    ),
    "a place in a topic's records that is no expression": (
        TOOL,
        "sender: tool",
        "sender: tool\nmessage: {call: type, time: 'at[', aliases: {user: who}}",
        "senders/tool.yaml:2: message.time: 'at['",
    ),
    "a place of an alias that is no expression": (
        TOOL,
        "sender: tool",
        "sender: tool\nmessage: {call: type, aliases: {user: 'no_such(who)'}}",
        "senders/tool.yaml:2: message.aliases.user: 'no_such(who)'",
    ),
    "a trait that alerts say": (
        HEAD,
        "csm: csm, ",
        "",
        "plan.yaml: alerts print the trait csm, which `traits` does not store",
    ),
}


def said(folder: Path, senders: dict[str, Sender] = SENDERS, **other: object) -> list[str]:
    """What the check says, files without the folder."""
    report = check(folder, senders=senders, playbooks=folder / "none", sources=(), **other)
    return [str(problem).replace(f"{folder}/", "") for problem in report.problems]


def test_a_right_plan_is_right(tmp_path: Path) -> None:
    assert said(write(tmp_path)) == []


@pytest.mark.parametrize("what", CASES)
def test_it_is_said(what: str, tmp_path: Path) -> None:
    file, old, new, expected = CASES[what]
    edit(write(tmp_path), file, old, new)
    assert [text for text in said(tmp_path) if text.startswith(expected)], said(tmp_path)


def test_a_file_that_is_empty(tmp_path: Path) -> None:
    write(tmp_path, {"events/empty.yaml": "", "senders/notes.txt": "."})
    write(tmp_path)
    assert said(tmp_path) == [
        "events/empty.yaml: is empty: write it, or remove it",
        "senders/notes.txt: is not read: name it .yaml, or remove it",
    ]


def test_an_event_in_two_files(tmp_path: Path) -> None:
    other = "category: site\nevents:\n  trial_signup: {description: Once more.}\n"
    write(write(tmp_path), {"events/site.yaml": other})
    assert said(tmp_path) == [
        "events/site.yaml:3: trial_signup is already in events/product.yaml:3: keep one"
    ]


def test_a_sender_without_mappings(tmp_path: Path) -> None:
    (write(tmp_path) / TOOL).unlink()
    assert said(tmp_path)[-1].startswith(
        "senders/tool.yaml: is missing: all reports of the sender tool"
    )


def test_a_sender_that_uses_anothers_mappings_needs_no_file(tmp_path: Path) -> None:
    class Import(Tool):
        name = "import"
        mapped_as = "tool"

    assert said(write(tmp_path), {"tool": Tool(), "import": Import()}) == []


def test_a_sender_that_gives_properties_may_fill_what_no_mapping_does(tmp_path: Path) -> None:
    class Open(Tool):
        gives_properties = True

    edit(write(tmp_path), TOOL, "{limit: what, used: share}", "{used: share}")
    assert said(tmp_path, {"tool": Open()}) == []


TOPIC = "sender: tool\nmessage: {call: type, aliases: {user: who}%s}"


@pytest.mark.parametrize(("properties", "wrong"), [("", 1), (", properties: data", 0)])
def test_a_source_without_code_fills_what_its_properties_may_hold(
    properties: str, wrong: int, tmp_path: Path
) -> None:
    edit(write(tmp_path), TOOL, "sender: tool", TOPIC % properties)
    edit(tmp_path, TOOL, "{limit: what, used: share}", "{used: share}")
    assert len(said(tmp_path, {})) == wrong


def test_all_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path)
    edit(tmp_path, PRODUCT, "conversion: macro", "conversion: big")
    edit(tmp_path, PRODUCT, "minimum: 0, maximum: 100", "minimum: 101, maximum: 100")
    edit(tmp_path, TOOL, "used: share", "usage: share")
    assert [text.partition(" ")[0] for text in said(tmp_path)] == [
        "events/product.yaml:5:",
        "events/product.yaml:12:",
        "senders/tool.yaml:8:",
    ]


PLAYBOOK = """\
name: first
version: 1
title: First
trigger: {event: trial_signup}
entry_age_limit: 6h
reentry: never
goal: {happened: paid_up}
steps:
  - name: look
    after: 1h
    branches:
      - name: reached
        when: {not: {all: [{happened: limit_reachd}, {score_below: 40}]}}
        leave: true
      - name: otherwise
"""


def test_a_playbook_that_waits_for_what_is_not_planned(tmp_path: Path) -> None:
    write(write(tmp_path), {"playbooks/first.yaml": PLAYBOOK})
    report = check(tmp_path, senders=SENDERS, playbooks=tmp_path / "playbooks", sources=())
    found = [str(problem).replace(f"{tmp_path}/", "") for problem in report.problems]
    assert len(found) == 2
    assert found[0].startswith("playbooks/first.yaml:7: waits for paid_up, which the plan does not")
    assert found[1].startswith("playbooks/first.yaml:13: waits for limit_reachd, which the plan")
    assert "(did you mean limit_reached?)" in found[1]


def test_a_playbook_that_cannot_be_read(tmp_path: Path) -> None:
    write(write(tmp_path), {"playbooks/first.yaml": "name: first\n"})
    report = check(tmp_path, senders=SENDERS, playbooks=tmp_path / "playbooks", sources=())
    assert "first.yaml: cannot be read: first.yaml: version: is missing" in str(report.problems[0])


def test_code_that_names_what_is_not_planned(tmp_path: Path) -> None:
    code = (
        "from x import EventName\n\nSTEPS = (\n    EventName.TRIAL_SIGNUP,\n    EventName.PAID\n)\n"
    )
    write(write(tmp_path), {"code/part/steps.py": code})
    none = tmp_path / "none"
    report = check(tmp_path, senders=SENDERS, playbooks=none, sources=[tmp_path / "code"])
    assert [str(one).partition(", ")[0] for one in report.problems] == [
        f"{tmp_path}/code/part/steps.py:5: names paid"
    ]


QUERY = """\
select count(*) from events
where
  events.name in (
    'trial_signup',
    'limit_reachd'
  )
  and other_name = 'x' and name not in ('trial_signup')
having min(name) = 'y' or NAME = 'paid'
"""


def test_a_query_that_names_what_is_not_planned(tmp_path: Path) -> None:
    write(write(tmp_path), {"queries/funnel.sql": QUERY})
    none = tmp_path / "none"
    report = check(tmp_path, senders=SENDERS, playbooks=none, sources=[tmp_path / "queries"])
    assert [str(one).partition(", ")[0] for one in report.problems] == [
        f"{tmp_path}/queries/funnel.sql:5: names limit_reachd",
        f"{tmp_path}/queries/funnel.sql:8: names paid",
    ]


def test_this_repositorys_plan_is_right() -> None:
    report = check()
    assert [str(problem) for problem in report.problems] == []
    assert report.plan is not None
    assert report.since is not None
