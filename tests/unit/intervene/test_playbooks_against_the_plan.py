"""Playbooks and alerts look for events and traits that the tracking plan knows."""

from __future__ import annotations

from desireline.intervene.conditions import event_names
from desireline.intervene.playbooks import load
from desireline.intervene.wording import TRAITS
from desireline.tracking_plan import load_plan


def test_every_event_that_a_playbook_waits_for_is_planned() -> None:
    asked = {"team_member_invited"}
    for playbook in load().current():
        asked |= {playbook.trigger.event} - {None}
        asked |= set(event_names(playbook.goal))
        for step in playbook.steps:
            for branch in step.branches:
                asked |= set(event_names(branch.when)) if branch.when else set()
    assert "integration_connected" in asked
    assert asked <= load_plan().events.keys()


def test_every_trait_that_an_alert_says_is_kept() -> None:
    traits = load_plan().traits
    assert set(TRAITS) <= {*traits.person.values(), *traits.account.values()}
