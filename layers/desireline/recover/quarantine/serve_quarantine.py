"""ServeQuarantine: the answers of the quarantine API. API Gateway has authorised its callers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from desireline.errors import RetryableError
from desireline.plan.tracking_plan import TrackingPlan
from desireline.ports import Clock, KeptBodies, Producer
from desireline.receive.mapping.event_mapper import EventMapper
from desireline.receive.senders.sender import Sender
from desireline.recover.quarantine import as_json
from desireline.recover.quarantine.case_details import ShowCase
from desireline.recover.quarantine.cases import Cases, Cursor, Filters, State
from desireline.recover.quarantine.repair import Repair
from desireline.recover.quarantine.request import (
    UNKNOWN_CASE,
    InvalidPlanError,
    InvalidRequestError,
    QuarantineRequest,
    UnknownCaseError,
    corrected,
    from_body,
    from_query,
)
from desireline.rows import CaseRow


@dataclass(frozen=True)
class _Page:
    """The cases of one answer. more: whether the list goes on after them."""

    cases: Sequence[CaseRow]
    more: bool = False

    @property
    def next(self) -> dict[str, str]:
        """The field that asks for the next page, if there is one."""
        return {"next": str(Cursor.of(self.cases[-1]))} if self.more else {}


class ServeQuarantine:
    """Answers requests to the quarantine API. mapper: makes a mapper for a plan. plan: the deployed
    plan. wall: the clock of arrivals. name: makes the id of a replay."""

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

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], body: str
    ) -> tuple[int, dict[str, Any]]:
        """Answer a request. Return the status and the body of the answer.

        A caller may repeat an interrupted replay, which then continues with the rest."""
        try:
            return self._answer(method, path.strip("/").split("/"), query, body)
        except InvalidRequestError as error:
            return _refusal(400, "invalid_request", str(error))
        except InvalidPlanError as error:
            return _refusal(400, "invalid_plan", str(error)[:500])
        except UnknownCaseError as error:
            return _refusal(404, UNKNOWN_CASE, str(error))
        except RetryableError as error:
            return _refusal(503, "unavailable", type(error).__name__)

    def _answer(
        self, method: str, path: Sequence[str], query: Mapping[str, str], body: str
    ) -> tuple[int, dict[str, Any]]:
        match method, path:
            case "GET", ["quarantine"]:
                return 200, self.list(from_query(query))
            case "GET", ["quarantine", case_id]:
                return 200, self.show(case_id)
            case "POST", ["quarantine", "preview"]:
                return 200, self.preview(from_body(body))
            case "POST", ["quarantine", "replay"]:
                return 200, self.replay(from_body(body))
        return _refusal(404, "unknown_route", "docs/quarantine.md lists the routes")

    def list(self, request: QuarantineRequest) -> dict[str, Any]:
        """Return a page of cases, newest first, and with the first page the counts by group."""
        filters = request.filters(self._wall.now())
        page = self._page(request, filters)
        groups = self._cases.groups(filters) if request.after is None else []
        return {
            "groups": [as_json.group(count) for count in groups],
            "cases": [as_json.case(case) for case in page.cases],
            **page.next,
        }

    def show(self, case_id: str) -> dict[str, Any]:
        """Return the details of a case. Raises UnknownCaseError, UnavailableError."""
        (case,) = self._by_id([case_id])
        show = ShowCase(bodies=self._bodies, senders=self._senders, plan=self._plan)
        return as_json.details(show(case))

    def preview(self, request: QuarantineRequest) -> dict[str, Any]:
        """Return each case before and after.

        Raises InvalidPlanError, UnknownCaseError, UnavailableError."""
        repair, page = self._repair(request), self._selected(request)
        differences = repair.preview(page.cases)
        repaired = sum(not difference.after.reason for difference in differences)
        return {
            "repaired": repaired,
            "failing": len(differences) - repaired,
            "cases": [as_json.difference(difference) for difference in differences],
            **page.next,
        }

    def replay(self, request: QuarantineRequest) -> dict[str, Any]:
        """Replay the repaired cases and mark them. Return the replay's id and its counts.

        Raises InvalidPlanError, UnknownCaseError, RetryableError."""
        name = request.replay or self._name()
        repair, page = self._repair(request), self._selected(request)
        answer: dict[str, Any] = {"replay": name, "replayed": 0, "already": 0, "failing": {}}
        answer |= page.next
        for counts in repair.replay(page.cases, name):
            answer |= {
                "replayed": counts.replayed,
                "already": counts.already,
                "failing": dict(counts.failing),
            }
        return answer

    def _selected(self, request: QuarantineRequest) -> _Page:
        """Return the cases named by id. Without ids, return the open cases of the filters."""
        if request.ids:
            return _Page(self._by_id(request.ids))
        waiting = request.model_copy(update={"state": request.state or State.OPEN})
        return self._page(waiting, waiting.filters(self._wall.now()))

    def _by_id(self, ids: Sequence[str]) -> Sequence[CaseRow]:
        cases = self._cases.named(ids)
        unknown = sorted(set(ids) - {case.id for case in cases})
        if unknown:
            raise UnknownCaseError(", ".join(unknown)[:1_000])
        return cases

    def _page(self, request: QuarantineRequest, filters: Filters) -> _Page:
        cases = self._cases.cases(filters, request.limit + 1, request.after)
        return _Page(cases[: request.limit], more=len(cases) > request.limit)

    def _repair(self, request: QuarantineRequest) -> Repair:
        deployed = self._mapper(self._plan)
        candidate = self._mapper(corrected(request.plan)) if request.plan else deployed
        return Repair(
            cases=self._cases,
            bodies=self._bodies,
            senders=self._senders,
            deployed=deployed,
            corrected=candidate,
            producer=self._producer,
            wall=self._wall,
        )


def _refusal(status: int, reason: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"reason": reason, "detail": detail}
