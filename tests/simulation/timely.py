"""Properties of what may be done when: by the switches, by due times, by the age of a trigger."""

from __future__ import annotations

from collections.abc import Iterator

from desireline.intervene.playbook.schedule import SKIPPED
from desireline.rows import ClaimRow, ClaimState, DecisionRow, EnrolmentRow
from tests.simulation.counting import Violation
from tests.simulation.oracle import Expected
from tests.simulation.releases import version_of
from tests.simulation.services import DELIVER_MS
from tests.simulation.switches import FRESH
from tests.simulation.tables import LATEST_MS
from tests.simulation.world import CONSUME_MS, World


def switches_are_obeyed(world: World, _: Expected) -> Iterator[Violation]:
    """Whatever the provider took, it took while sends were on, or so shortly after that whoever
    sent it had already looked. What was recorded is never sent."""
    claims = {row.ref: row for row in _claims(world)}
    for accepted in world.provider.accepted:
        claim = claims[ClaimRow.ref_to(**accepted.claim.model_dump())]
        looked = accepted.at - DELIVER_MS - FRESH
        settings = world.board.between(looked, accepted.at)
        if not any(one.sends(claim.playbook, claim.channel) for one in settings):
            yield "sent while switched off", f"{claim.pk} {claim.sk}: {settings}"
    for written in world.tables.history:
        old, new = written.old, written.new
        if isinstance(old, ClaimRow) and isinstance(new, ClaimRow):
            if old.state is ClaimState.RECORDED and new.state is not ClaimState.RECORDED:
                yield "recorded, and then not", f"{new.pk} {new.sk}: {new.state}"


def nothing_before_its_time(world: World, _: Expected) -> Iterator[Violation]:
    """No step is decided before it is due."""
    for written in world.tables.history:
        row = written.new
        if not isinstance(row, DecisionRow) or row.phase not in ("branch", "gate"):
            continue
        enrolment = world.tables.get(EnrolmentRow.ref_to(row.enrolment))
        assert enrolment is not None
        steps = version_of(row).steps
        after = next((step.after for step in steps if step.name == row.step), None)
        if after is None:
            yield "a step of another version", f"{row.pk} {row.sk}"
        elif row.reason != SKIPPED and written.at < enrolment.entry_at + after:
            yield "decided too early", f"{row.pk} {row.sk}"


def nothing_stale_begins(world: World, _: Expected) -> Iterator[Violation]:
    """No enrolment is made of a trigger that was too old when its maker looked."""
    for written in world.tables.history:
        row = written.new
        if isinstance(row, EnrolmentRow) and written.old is None:
            limit = version_of(row).entry_age_limit
            if written.at - row.entry_at > limit + CONSUME_MS + LATEST_MS:
                yield "enrolled too late", f"{row.playbook} {row.enrolment}"


def _claims(world: World) -> list[ClaimRow]:
    return [row for row in world.tables.rows.values() if isinstance(row, ClaimRow)]


TIMELY = (switches_are_obeyed, nothing_before_its_time, nothing_stale_begins)
