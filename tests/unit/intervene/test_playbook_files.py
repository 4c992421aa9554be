"""Playbooks as data: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from desireline.errors import InvalidPlaybookError
from desireline.intervene.playbook.durations import format_duration, parse_duration
from desireline.intervene.playbook.playbooks import Library, load, parse

GOOD = """
name: nudge
version: 2
title: Nudge
trigger: {event: trial_signup}
entry_age_limit: 24h
reentry: 7d
goal: {happened: trial_to_paid_conversion}
steps:
  - name: first
    after: 0s
    branches:
      - name: yes_way
        when: {any: [{happened: project_created, by: 0s}, {not: {score_below: 70}}]}
        leave: true
      - name: no_way
        actions:
          - {name: tell, channel: csm_alert, not_after: 4h, severity: high, title: "$name", body: x}
  - name: second
    after: 4h
    only_if: {step: first, took: [no_way]}
    actions:
      - {name: mark, channel: crm, not_after: 1h, operation: set_property, what: a, value: b}
"""


def refused(text: str) -> str:
    with pytest.raises(InvalidPlaybookError) as caught:
        parse(text, "nudge.yaml")
    return str(caught.value)


def test_a_good_playbook_is_read_with_durations_in_milliseconds() -> None:
    playbook = parse(GOOD)
    assert [step.after for step in playbook.steps] == [0, 4 * 3_600_000]
    assert playbook.entry_age_limit == 86_400_000
    assert [branch.name for branch in playbook.steps[1].all_branches()] == ["always"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    after: 4h", "    after: 4 hours", "steps[1].after: write a duration as a number"),
        ("version: 2", "", "version: is missing"),
        ("title: Nudge", "titel: Nudge", "titel: is not a field of this part"),
        ("name: nudge", "name: Nudge!", "name: use lower-case letters"),
        ("{event: trial_signup}", "{event: a, tier: hot}", "exactly one of event, tier, stage"),
        (
            "      - name: no_way",
            "      - name: no_way\n        when: {happened: x}",
            "last branch",
        ),
        (
            "step: first, took",
            "step: zeroth, took",
            "only_if names zeroth, which must be an earlier step",
        ),
        (
            "took: [no_way]",
            "took: [maybe]",
            "first has no branch maybe: use one of no_way, yes_way",
        ),
        ("after: 0s", "after: 5h", "order of `after`"),
        ("name: second", "name: first", "two steps have the name first"),
        ('title: "$name"', 'title: "$nmae"', "unknown placeholder $nmae: use one of $name"),
        ('title: "$name"', 'title: "5 $"', "write $$ for a dollar sign"),
        ("{score_below: 70}", "{score_under: 70}", "write one of: happened, score_at_least"),
        ("{score_below: 70}", "{score_below: 170}", "less than or equal to 100"),
        (", value: b", "", "write `value` with set_property"),
        ("reentry: 7d", "reentry: 0s", "a re-entry window needs a length"),
        ("channel: csm_alert", "channel: pigeon", "'csm_alert'"),
        ("steps:", "steps: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_do(old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert said in refused(GOOD.replace(old, new, 1))


def test_the_slot_is_a_pure_function_of_the_rule_and_the_entry() -> None:
    # Given a window of 7 days, and one without re-entry
    weekly, once = parse(GOOD), parse(GOOD.replace("reentry: 7d", "reentry: never"))
    week = 7 * 86_400_000
    # Then entries of one window share a slot, the next window has another
    assert weekly.slot(10 * week) == weekly.slot(11 * week - 1) != weekly.slot(11 * week)
    assert once.slot(0) == once.slot(99 * week) == "once"


def test_a_library_starts_the_newest_and_keeps_the_older_for_who_runs_in_it() -> None:
    old, new = parse(GOOD), parse(GOOD.replace("version: 2", "version: 10"))
    library = Library([new, old])
    assert [playbook.version for playbook in library.current()] == [10]
    assert library.at("nudge", 2) is old
    with pytest.raises(InvalidPlaybookError, match=r"add nudge\.v3\.yaml"):
        library.at("nudge", 3)
    with pytest.raises(InvalidPlaybookError, match="raise the version"):
        Library([old, old])


def test_a_file_is_called_as_its_playbook(tmp_path: Path) -> None:
    (tmp_path / "nudge.v2.yaml").write_text(GOOD)
    assert load(tmp_path).at("nudge", 2).title == "Nudge"
    (tmp_path / "other.yaml").write_text(GOOD.replace("version: 2", "version: 3"))
    with pytest.raises(InvalidPlaybookError, match=r"rename the file to nudge\.yaml"):
        load(tmp_path)


def test_the_shipped_playbooks_load_and_hold_the_first_48_hours() -> None:
    library = load()
    names = [playbook.name for playbook in library.current()]
    assert names == ["hot_lead", "integration_first"]
    steps = library.at("integration_first", 1).steps
    assert [format_duration(step.after) for step in steps] == ["0s", "4h", "24h", "48h"]
    alerts = {a.name for s in steps for a in s.all_actions() if a.channel == "csm_alert"}
    assert alerts == {"setup_help_alert", "personal_setup_alert", "sales_call_alert"}


@pytest.mark.parametrize("text", ["0s", "90s", "5m", "4h", "48h", "3d", "14d"])
def test_a_duration_reads_back(text: str) -> None:
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["4", "h", "-1h", "4H", "1.5h", "", 4, None])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write a duration"):
        parse_duration(text)
