"""The condition tree, the schedule of steps, and texts with placeholders."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from desireline.events import Assessment, Lifecycle, Stage
from desireline.intervene.playbook.conditions import (
    Circumstances,
    Condition,
    describe,
    event_names,
    judge,
)
from desireline.intervene.playbook.playbooks import AlertAction, Severity, load
from desireline.intervene.playbook.schedule import choose, next_step
from desireline.intervene.playbook.templates import (
    TITLE_LIMIT,
    check_template,
    render,
    render_title,
)
from desireline.intervene.wording import message, values
from desireline.journey.state import Fact, JourneyState

HOUR = 3_600_000
ENTRY = 1_000 * HOUR


def condition(data: Any) -> Condition:
    found: Condition = TypeAdapter(Condition).validate_python(data)
    return found


def known(score: int | None = None, **hours: int) -> Circumstances:
    """Events by name, with the hour after the entry at which each first occurred."""
    first = {name: (ENTRY + hour * HOUR, name) for name, hour in hours.items()}
    return Circumstances(JourneyState(first=first), score, ENTRY)


@pytest.mark.parametrize(
    ("data", "circumstances", "holds"),
    [
        ({"happened": "a"}, known(a=5), True),
        ({"happened": "a"}, known(b=5), False),
        ({"happened": "a", "by": "5h"}, known(a=5), True),
        ({"happened": "a", "by": "4h"}, known(a=5), False),
        ({"not": {"happened": "a"}}, known(), True),
        ({"all": [{"happened": "a"}, {"happened": "b"}]}, known(a=1), False),
        ({"all": [{"happened": "a"}, {"happened": "b"}]}, known(a=1, b=2), True),
        ({"any": [{"happened": "a"}, {"happened": "b"}]}, known(b=1), True),
        ({"any": [{"happened": "a"}, {"happened": "b"}]}, known(c=1), False),
        ({"score_at_least": 70}, known(70), True),
        ({"score_at_least": 70}, known(69), False),
        ({"score_at_least": 70}, known(None), False),
        ({"score_below": 70}, known(69), True),
        ({"score_below": 70}, known(70), False),
        ({"score_below": 70}, known(None), False),
    ],
)
def test_a_condition_holds(data: Any, circumstances: Circumstances, holds: bool) -> None:
    assert judge(condition(data), circumstances).holds is holds


def test_a_judgement_shows_all_that_was_looked_at() -> None:
    tree = condition({"any": [{"happened": "a"}, {"not": {"happened": "b"}}, {"score_below": 9}]})
    judgement = judge(tree, known(50, a=2))
    assert judgement.evidence == {"a": ENTRY + 2 * HOUR, "b": None, "score": 50}
    assert judgement.on_absence
    assert list(event_names(tree)) == ["a", "b"]
    assert describe(tree) == "`a` or not `b` or score below 9"


def test_what_came_to_be_rests_on_no_absence() -> None:
    assert not judge(condition({"happened": "a"}), known(a=2)).on_absence
    assert not judge(condition({"score_below": 9}), known(None)).on_absence


def test_the_branch_is_the_first_that_holds_and_the_last_otherwise() -> None:
    step = load().at("integration_first", 1).steps[3]
    both = choose(step, known(integration_connected=1, project_created=2))
    one = choose(step, known(project_created=2))
    none = choose(step, known())
    assert [c.branch.name for c in (both, one, none)] == ["on_track", "halfway", "neither"]
    assert [c.on_absence for c in (both, one, none)] == [False, True, True]


def test_the_24_hours_step_is_only_for_those_who_were_not_connected_at_4_hours() -> None:
    playbook = load().at("integration_first", 1)
    so_far = {"welcome": "always"}
    assisted = next_step(playbook, {**so_far, "first_connection": "needs_assistance"})
    fast = next_step(playbook, {**so_far, "first_connection": "connected_fast"})
    assert assisted.step is playbook.steps[2]
    assert fast.step is playbook.steps[3]
    assert fast.skipped == (playbook.steps[2],)


def test_a_title_is_one_short_line_whatever_the_values_hold() -> None:
    said = {"name": "A\nB\r\tC\x00" + "x" * 200, "account": "Z"}
    title = render_title("Hot: $name", said)
    assert title.startswith("Hot: A B C x")
    assert len(title) == TITLE_LIMIT < 100
    assert title.isprintable()


def test_a_value_is_never_read_as_a_template_and_loses_control_characters() -> None:
    text = render("$name: $$5\n", {"name": "$account ${subject}\x1b[31m"})
    assert text == "$account ${subject} [31m: $5\n"


def test_no_expression_is_a_template() -> None:
    for text in ("${name.__class__}", "${name!r}", "$name[0] $", "${7*7}"):
        with pytest.raises(ValueError, match="placeholder"):
            check_template(text)


def test_what_no_provider_takes_as_a_title_or_an_attribute_is_not_said() -> None:
    """It refuses control characters and an empty title, and a refusal is final."""
    traits = {"name": " \n", "email": "ada@b.c", "csm": "\x00Grace\x1f\n", "segment": "\x07"}
    state = JourneyState(traits={name: Fact(text, 1, "e") for name, text in traits.items()})
    assessment = Assessment(
        as_of=1, stage=Stage.AWARENESS, lifecycle=Lifecycle.VISITOR, model_version="m"
    )
    action = AlertAction.model_validate(
        {"name": "a", "channel": "csm_alert", "not_after": "1h"}
        | {"severity": Severity.INFO, "title": "$name", "body": "b"}
    )

    alert = message(action, "p", values("s", (), state, assessment, ()))

    assert (alert.title, alert.recipient) == ("ada@b.c", "Grace")
    assert (alert.attributes["owner"], alert.attributes["segment"]) == ("Grace", "unknown")
