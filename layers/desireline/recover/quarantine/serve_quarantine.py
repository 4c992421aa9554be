"""ServeQuarantine: what the API answers. Its callers are authorised before they come here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from desireline.plan.tracking_plan import TrackingPlan
from desireline.ports import Clock, KeptBodies, Producer
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders.sender import Sender
from desireline.recover.quarantine import as_json
from desireline.recover.quarantine.case_details import ShowCase
from desireline.recover.quarantine.cases import Cases, State
from desireline.recover.quarantine.repair import Repair
from desireline.recover.quarantine.request import QuarantineRequest, corrected
from desireline.rows import CaseRow


class ServeQuarantine:
    """mapping: the mapping step by a plan. plan: the deployed one. wall: the clock of arrivals."""

    def __init__(
        self,
        *,
        cases: Cases,
        bodies: KeptBodies,
        senders: Mapping[str, Sender],
        mapper: Callable[[TrackingPlan], EventMapper],
        plan: TrackingPlan,
        producer: Producer,
        wall: Clock,
        name: Callable[[], str] = lambda: f"repair-{uuid.uuid4().hex[:12]}",
    ) -> None:
        self._cases = cases
        self._bodies = bodies
        self._senders = senders
        self._mapper = mapper
        self._plan = plan
        self._producer = producer
        self._wall = wall
        self._name = name

    def list(self, request: QuarantineRequest) -> dict[str, Any]:
        """Counts by kind, and the newest cases."""
        filters = request.filters(self._wall.now())
        found = self._cases.cases(filters, request.limit)
        return {
            "groups": [as_json.group(one) for one in self._cases.groups(filters)],
            "cases": [as_json.case(one) for one in found],
        }

    def show(self, case_id: str) -> dict[str, Any] | None:
        """Everything that is known of a case; None where there is none. Raises UnavailableError."""
        found = self._cases.named([case_id])
        if not found:
            return None
        show = ShowCase(bodies=self._bodies, senders=self._senders, plan=self._plan)
        return as_json.shown(show(found[0]))

    def preview(self, request: QuarantineRequest) -> dict[str, Any]:
        """Each case before and after. Raises InvalidPlanError, UnavailableError."""
        found = self._repair(request).preview(self._chosen(request))
        repaired = sum(not one.after.reason for one in found)
        return {
            "repaired": repaired,
            "failing": len(found) - repaired,
            "cases": [as_json.difference(one) for one in found],
        }

    def replay(self, request: QuarantineRequest) -> dict[str, Any]:
        """Replay what is repaired, and mark it. Raises InvalidPlanError, RetryableError."""
        name = self._name()
        said: dict[str, Any] = {"replay": name, "replayed": 0, "already": 0, "failing": {}}
        for step in self._repair(request).replay(self._chosen(request), name):
            said |= {
                "replayed": step.replayed,
                "already": step.already,
                "failing": dict(step.failing),
            }
        return said

    def _chosen(self, request: QuarantineRequest) -> Sequence[CaseRow]:
        """Those named; else those that wait and that the filters hold."""
        if request.ids:
            return self._cases.named(request.ids)
        waiting = request.model_copy(update={"state": request.state or State.OPEN})
        return self._cases.cases(waiting.filters(self._wall.now()), request.limit)

    def _repair(self, request: QuarantineRequest) -> Repair:
        deployed = self._mapper(self._plan)
        tried = self._mapper(corrected(request.plan)) if request.plan else deployed
        return Repair(
            cases=self._cases,
            bodies=self._bodies,
            senders=self._senders,
            deployed=deployed,
            corrected=tried,
            producer=self._producer,
            wall=self._wall,
        )
