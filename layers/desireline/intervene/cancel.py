"""What an exit or a supersession takes along: the claims that nobody has begun to send."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.ports import Store
from desireline.rows import ClaimRow, ClaimState, DecisionRow, EnrolmentRow, Outcome, Put


def open_claims(store: Store, enrolment: str, subjects: Iterable[str]) -> list[ClaimRow]:
    """The enrolment's claims that are still unsent, under any of these subjects."""
    return [
        claim
        for subject in dict.fromkeys(subjects)
        for claim in store.query(ClaimRow, ClaimRow.partition_key(subject))
        if claim.enrolment == enrolment and claim.state is ClaimState.CLAIMED
    ]


def cancellations(claims: Iterable[ClaimRow], reason: str, at: int) -> list[Put]:
    """The writes that cancel them, each with its ledger row. at: journey time.

    They belong into the transaction that ends the enrolment. A claim that somebody begins to send
    meanwhile makes that transaction fail, and is then past cancelling.
    """
    writes = []
    for claim in claims:
        writes.append(Put(claim.but(state=ClaimState.CANCELLED)))
        writes.append(Put(delivery_row(claim, Outcome.CANCELLED, reason, at)))
    return writes


def delivery_row(
    claim: ClaimRow, outcome: Outcome, reason: str, at: int, gate: str | None = None
) -> DecisionRow:
    """The ledger row of how a claim ended. at: journey time."""
    return DecisionRow(
        subject=claim.subject,
        playbook=claim.playbook,
        playbook_version=claim.playbook_version,
        enrolment=claim.enrolment,
        slot=claim.slot,
        step=claim.step,
        action=claim.action,
        phase="delivery",
        channel=claim.channel,
        outcome=outcome,
        reason=reason,
        gate=gate,
        at=at,
        stamps=claim.stamps,
    )


def end_row(
    enrolment: EnrolmentRow, subject: str, outcome: Outcome, reason: str, at: int
) -> DecisionRow:
    """The ledger row of how an enrolment ended. at: journey time."""
    return DecisionRow(
        subject=subject,
        playbook=enrolment.playbook,
        playbook_version=enrolment.playbook_version,
        enrolment=enrolment.enrolment,
        slot=enrolment.slot,
        phase="end",
        outcome=outcome,
        reason=reason,
        at=at,
    )
