"""What is said of cases: plain objects, the same for the API and for a terminal."""

from __future__ import annotations

from typing import Any

from desireline.recover.quarantine.case_details import Shown
from desireline.recover.quarantine.cases import Counted, State
from desireline.recover.quarantine.repair import Difference, RepairResult
from desireline.rows import CaseRow

_UNSAID = {"version", "expires", "record", "counted_as"}


def group(counted: Counted) -> dict[str, Any]:
    """How many of a kind."""
    return {
        **counted.group._asdict(),
        "found": counted.found,
        "repaired": counted.repaired,
        "first": counted.first,
        "last": counted.last,
    }


def case(row: CaseRow) -> dict[str, Any]:
    """A case, without what it holds."""
    state = State.REPAIRED if row.replayed else State.OPEN
    return {
        "state": state.value,
        **row.model_dump(mode="json", exclude=_UNSAID, exclude_none=True),
    }


def shown(found: Shown) -> dict[str, Any]:
    """A case with everything that is known of it."""
    raw, seen, place = found.raw, found.seen, found.place
    return {
        "case": case(found.case),
        "raw": raw and raw.model_dump(mode="json", exclude={"body"}, exclude_none=True),
        "body": found.body,
        "seen": seen
        and {
            "id": seen.id,
            "call": seen.call,
            "event": seen.event,
            "occurred_at": seen.occurred_at,
            "aliases": [list(alias) for alias in seen.aliases],
            "properties": dict(seen.properties),
            "message": dict(seen.message),
        },
        "place": place
        and {
            "file": place.file,
            "mapping": place.mapping,
            "event": place.event,
            "parameter": place.parameter,
            "wants": place.wants,
            "got": place.got,
            "near": list(place.near),
        },
    }


def difference(one: Difference) -> dict[str, Any]:
    """A case before and after."""
    return {
        "id": one.case.id,
        "source": one.case.source,
        "event": one.case.event_name,
        "before": _outcome(one.before),
        "after": _outcome(one.after),
    }


def _outcome(outcome: RepairResult) -> dict[str, Any]:
    if outcome.reason:
        return {"reason": outcome.reason, "detail": outcome.detail}
    return {"events": outcome.events}
