"""The rows of the DynamoDB tables, typed, and how they are written.

A row carries the version at which it was read, 0 if it is not stored yet. Every write is
conditional on it: `Put(row)` stores the row at version + 1 if the stored version is still
`row.version`; `Check(row)` only demands that. Nothing is ever written unconditionally.
"""

from __future__ import annotations

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
    EdgeSuppressionRow,
    EnrolmentRow,
    EnrolmentState,
    Outcome,
    QuarantineRow,
    SlotRow,
    SuppressionRow,
)
from desireline.rows.journeys import JourneyRow
from desireline.rows.quarantine import CaseGroupRow, CasePageRow, CaseRow
from desireline.rows.sources import PullRow
from desireline.rows.states import BucketRow, SealedIdsRow, StateRow

__all__ = [
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
    "EdgeSuppressionRow",
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
    "QuarantineRow",
    "Ref",
    "Row",
    "SealedIdsRow",
    "SlotRow",
    "StateRow",
    "SubjectRow",
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
        BucketRow,
        JourneyRow,
        EnrolmentRow,
        SlotRow,
        ClaimRow,
        DecisionRow,
        QuarantineRow,
        SuppressionRow,
        EdgeSuppressionRow,
        PullRow,
        CaseRow,
        CaseGroupRow,
        CasePageRow,
    )
}
"""By the name that the codec stores in the attribute `kind`."""
