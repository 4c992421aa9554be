"""Query the reference funnel in the warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from desireline.plan.event_names import EventName
from desireline_operate.paths import PROJECT
from desireline_operate.warehouse.connection import rows

QUERY = PROJECT / "warehouse" / "queries" / "reference_funnel.sql"
STEPS = (
    EventName.TRIAL_SIGNUP,
    EventName.INTEGRATION_CONNECTED,
    EventName.PROJECT_CREATED,
    EventName.TEAM_MEMBER_INVITED,
    EventName.AUTOMATION_CREATED,
    EventName.TRIAL_TO_PAID_CONVERSION,
)


@dataclass(frozen=True, slots=True)
class Funnel:
    """The number of trials that reached each step. closed: trials whose window is over. open: the
    other trials."""

    closed: tuple[int, ...]
    open: tuple[int, ...]


def reference_funnel(connection: Any, *, window_days: int, as_of: int) -> Funnel:
    """Query the funnel. as_of: journey time, epoch ms."""
    moment = datetime.fromtimestamp(as_of / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    binds = {"window": window_days * 86_400, "as_of": moment}
    counts = {bool(row[0]): row[1:] for row in rows(connection, QUERY.read_text(), binds)}
    zeros = (0,) * len(STEPS)
    return Funnel(
        tuple(map(int, counts.get(True, zeros))), tuple(map(int, counts.get(False, zeros)))
    )
