"""The rows of the DynamoDB tables, typed, and how they are written.

A row carries the version at which it was read, 0 if it is not stored yet. Every write is
conditional on it: `Put(row)` stores the row at version + 1 if the stored version is still
`row.version`; `Check(row)` only demands that. Nothing is ever written unconditionally.
"""

from __future__ import annotations

from desireline.rows.admission import BucketRow, SuppressionLogRow, SuppressionRow
from desireline.rows.base import Change, Check, Put, Ref, Row
from desireline.rows.identity import (
    AccountRow,
    AliasRow,
    Evidence,
    EvidenceRow,
    PersonRow,
    SubjectRow,
    fragment_of,
)
from desireline.rows.interventions import (
    OPEN_CLAIMS,
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    EnrolmentState,
    Outcome,
    SlotRow,
)
from desireline.rows.journeys import JourneyRow
from desireline.rows.quarantine import CaseGroupRow, CasePageRow, CaseRow, SetAsideRow
from desireline.rows.sources import PullRow
from desireline.rows.states import SealedIdsRow, StateRow

__all__ = [
    "ANNOUNCED_ROWS",
    "ANNOUNCED_TABLES",
    "AccountRow",
    "AliasRow",
    "BucketRow",
    "CaseGroupRow",
    "CasePageRow",
    "CaseRow",
    "Change",
    "Check",
    "ClaimRow",
    "ClaimState",
    "DecisionRow",
    "EnrolmentRow",
    "EnrolmentState",
    "Evidence",
    "EvidenceRow",
    "JourneyRow",
    "OPEN_CLAIMS",
    "Outcome",
    "PersonRow",
    "PullRow",
    "Put",
    "Ref",
    "Row",
    "SealedIdsRow",
    "SetAsideRow",
    "SlotRow",
    "StateRow",
    "SubjectRow",
    "SuppressionLogRow",
    "SuppressionRow",
    "fragment_of",
]

ROW_TYPES: dict[str, type[Row]] = {
    row.__name__: row
    for row in (
        AliasRow,
        PersonRow,
        EvidenceRow,
        SubjectRow,
        AccountRow,
        StateRow,
        SealedIdsRow,
        JourneyRow,
        EnrolmentRow,
        SlotRow,
        ClaimRow,
        DecisionRow,
        SuppressionRow,
        SuppressionLogRow,
        BucketRow,
        PullRow,
        CaseRow,
        CaseGroupRow,
        CasePageRow,
        SetAsideRow,
    )
}
"""By the name that the codec stores in the attribute `kind`."""

ANNOUNCED_ROWS: tuple[type[Row], ...] = (
    PersonRow,
    SubjectRow,
    AccountRow,
    JourneyRow,
    DecisionRow,
    ClaimRow,
    SetAsideRow,
)
"""The rows whose changes publish_changes announces. The streams' event sources filter on these."""

ANNOUNCED_TABLES = frozenset(row.table for row in ANNOUNCED_ROWS)
"""The tables that have a stream."""
