"""Convert cases to JSON objects, for the API and for `desireline quarantine --json`."""

from __future__ import annotations

from typing import Any

from desireline.recover.quarantine.case_details import CaseDetails
from desireline.recover.quarantine.cases import CaseCount, State
from desireline.recover.quarantine.repair import Difference, RepairResult
from desireline.rows import CaseRow

_OMITTED = {"version", "expires", "record", "counted_as"}


def group(count: CaseCount) -> dict[str, Any]:
    """Convert the counts of a group."""
    return {
        **count.group._asdict(),
        "total": count.total,
        "repaired": count.repaired,
        "first": count.first,
        "last": count.last,
    }


def case(row: CaseRow) -> dict[str, Any]:
    """Convert a case, without its record."""
    state = State.REPAIRED if row.replayed else State.OPEN
    return {
        "state": state.value,
        **row.model_dump(mode="json", exclude=_OMITTED, exclude_none=True),
    }


def details(case_details: CaseDetails) -> dict[str, Any]:
    """Convert a case with its raw body, its parsed report and its location in the plan."""
    raw, report, location = case_details.raw, case_details.report, case_details.location
    return {
        "case": case(case_details.case),
        "raw": raw and raw.model_dump(mode="json", exclude={"body"}, exclude_none=True),
        "body": case_details.body,
        "seen": report
        and {
            "id": report.id,
            "call": report.call,
            "event": report.event,
            "occurred_at": report.occurred_at,
            "aliases": [list(alias) for alias in report.aliases],
            "properties": dict(report.properties),
            "message": dict(report.message),
        },
        "place": location
        and {
            "file": location.file,
            "mapping": location.mapping,
            "event": location.event,
            "parameter": location.parameter,
            "wants": location.wants,
            "got": location.got,
            "near": list(location.near),
        },
    }


def difference(difference: Difference) -> dict[str, Any]:
    """Convert the results of a case before and after a correction."""
    return {
        "id": difference.case.id,
        "source": difference.case.source,
        "event": difference.case.event_name,
        "before": _result(difference.before),
        "after": _result(difference.after),
    }


def _result(result: RepairResult) -> dict[str, Any]:
    if result.reason:
        return {"reason": result.reason, "detail": result.detail}
    return {"events": result.events}
