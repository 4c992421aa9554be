"""Properties of the gates: nothing passes one that is closed, and the ledger says which one was."""

from __future__ import annotations

from collections.abc import Iterator

from desireline.rows import ClaimRow, DecisionRow, SuppressionRow
from tests.simulation.counting import Violation
from tests.simulation.objecting import ORDER, decided
from tests.simulation.oracle import Expected
from tests.simulation.refusing import Wish
from tests.simulation.services import Accepted
from tests.simulation.timeline import Timeline
from tests.simulation.world import World


def gates_decide(world: World, _: Expected) -> Iterator[Violation]:
    """The first gate that objects decides: no action passes a gate that was closed during all of
    its check, none is refused by a gate that was open, and the ledger names the gate."""
    timeline = Timeline(world.tables)
    claims = {
        (written.step, written.new.enrolment, written.new.step, written.new.action)
        for written in world.tables.history
        if isinstance(written.new, ClaimRow) and written.old is None
    }
    for written in world.tables.history:
        row = written.new
        if not isinstance(row, DecisionRow) or row.phase != "gate":
            continue
        where = f"{row.playbook} {row.step} {row.action} of {row.subject} at {written.at}"
        of = decided(world, timeline, written, row)
        if of is None:
            yield "an action of another version", where
            continue
        claimed = (written.step, row.enrolment, row.step, row.action) in claims
        if claimed != (row.gate is None) or claimed != (row.outcome == "claimed"):
            yield "claim and ledger differ", f"{where}: {row.outcome}, gate {row.gate}"
        for name, (objects, reasons) in ORDER.items():
            objection = objects(of)
            if row.gate == name:
                if not objection.possible:
                    yield f"refused without cause: {name}", where
                if not row.reason.startswith(reasons):
                    yield "wrong reason", f"{where}: {name}: {row.reason}"
                break
            if objection.certain:
                yield f"passed a closed gate: {name}", f"{where}: {row.gate or 'claimed'}"
                break


def the_suppressed_get_nothing(world: World, _: Expected) -> Iterator[Violation]:
    """An order is carried out on the alias that it names; and from then on no invocation that
    begins sends what was claimed for a subject to which the alias belonged."""
    timeline = Timeline(world.tables)
    for done in world.operators.done:
        row = timeline.at(SuppressionRow.ref_to(done.fragment), done.step)
        others = [one for one in world.scenario.orders if one is not done.order]
        if not any(one.value == done.order.value for one in others):
            holds = row is not None and row.lifted_at is None
            if holds is (done.order.wish is Wish.LIFT):
                yield "order not carried out", f"{done.order}"
    made = {
        written.new.ref: written.step
        for written in world.tables.history
        if isinstance(written.new, ClaimRow) and written.old is None
    }
    for accepted in world.provider.accepted:
        claim = ClaimRow.ref_to(**accepted.claim.model_dump())
        for who in _suppressed_all_along(timeline, accepted):
            if timeline.subject_of(who, made[claim]) == accepted.claim.subject:
                yield "sent to the suppressed", f"{accepted.claim} about {who}"


def _suppressed_all_along(timeline: Timeline, accepted: Accepted) -> Iterator[str]:
    """Fragments that were suppressed from the invocation's first step until its call."""
    for versions in timeline.versions(SuppressionRow, accepted.since, accepted.step):
        first = timeline.at(versions[0].ref, accepted.since)
        if first is not None and all(one.lifted_at is None for one in versions):
            yield first.target


GATES = (gates_decide, the_suppressed_get_nothing)
