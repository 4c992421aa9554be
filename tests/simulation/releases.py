"""What is deployed: the plan, the playbooks of two releases, the live channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from desireline.identity.aliases import Fragments
from desireline.intervene.channels import CHANNELS
from desireline.intervene.gate import GateFacts
from desireline.intervene.playbook.playbooks import Library, Playbook, load, parse
from desireline.plan.tracking_plan import load_plan
from desireline.receive.mapping.canonical import Canonical
from desireline.rows import DecisionRow, EnrolmentRow

PLAN = load_plan()
FRAGMENTS = Fragments(b"simulation")
CANONICAL = Canonical(PLAN, FRAGMENTS)

_OWN = sorted((Path(__file__).parent / "playbooks").glob("*.yaml"))
_SHIPPED = (
    *load().current(),
    *(parse(path.read_text(encoding="utf-8"), path.name) for path in _OWN),
)
PLAYBOOKS = Library(_SHIPPED)
"""Of the later release, which ships the earlier version for the runs that are still in it."""

BEFORE = Library([one for one in _SHIPPED if (one.name, one.version) != ("close_steps", 2)])
"""Of the earlier release."""

_VERSIONS = {(one.name, one.version): one for one in _SHIPPED}

LIVE = frozenset({*CHANNELS, "email"})
"""With a personal channel, which the gates of consent and of identity are for."""


def version_of(row: EnrolmentRow | DecisionRow) -> Playbook:
    """The playbook that a run began in, whatever the library under test answers."""
    return _VERSIONS[row.playbook, row.playbook_version]


@contextmanager
def live_channels() -> Iterator[None]:
    """Make LIVE the default of the gates' facts, which is where the product decides it."""
    defaults = GateFacts.__init__.__kwdefaults__
    assert defaults is not None and "live" in defaults
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "live", LIVE)
        yield
