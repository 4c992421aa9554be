"""The registry of channels."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from desireline.intervene import channels
from desireline.intervene.channels import CHANNELS, PLAYBOOK_CHANNELS, ActionKind
from desireline.intervene.playbook.playbooks import load

FOLDER = Path(channels.__file__).parent


def test_each_module_of_a_channel_is_an_entry_under_its_own_name() -> None:
    modules = {
        path.stem: import_module(f"{channels.__name__}.{path.stem}").CHANNEL
        for path in FOLDER.glob("*.py")
        if re.search(r"^CHANNEL = ", path.read_text(), re.MULTILINE)
    }
    assert modules == CHANNELS
    assert all(spec.name == name for name, spec in PLAYBOOK_CHANNELS.items())


def test_names_are_parts_of_queue_names_and_unlike_when_their_separators_are_gone() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in PLAYBOOK_CHANNELS)
    assert len({name.replace("_", "") for name in CHANNELS}) == len(CHANNELS)


def test_only_alerts_go_to_the_owner_so_no_channel_to_a_person_takes_them() -> None:
    alerts = [spec for spec in PLAYBOOK_CHANNELS.values() if spec.action is ActionKind.ALERT]
    assert alerts
    assert not any(spec.needs_identity for spec in alerts)


def test_the_shipped_playbooks_use_every_live_channel() -> None:
    used = {
        action.channel
        for playbook in load().current()
        for step in playbook.steps
        for action in step.all_actions()
    }
    assert set(CHANNELS) <= used <= set(PLAYBOOK_CHANNELS)
