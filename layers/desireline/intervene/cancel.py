"""Cancel the unsent claims of an enrolment that ends, and write the ledger rows of ends."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.ports import Store
from desireline.rows import ClaimRow, ClaimState, DecisionRow, EnrolmentRow, Outcome, Put


def open_claims(store: Store, enrolment: str, subjects: Iterable[str]) -> list[ClaimRow]:
    """Return the enrolment's claims in the state `claimed`, of these subjects."""
    return [
        claim
        for subject in dict.fromkeys(subjects)
        for claim in store.query(ClaimRow, ClaimRow.partition_key(subject))
        if claim.enrolment == enrolment and claim.state is ClaimState.CLAIMED
    ]


def cancellations(claims: Iterable[ClaimRow], reason: str, at: int) -> list[Put]:
    """Return the writes that cancel claims, with a ledger row for each. at: journey time, epoch ms.

    The caller writes them in the transaction that ends the enrolment. If deliver_action has begun
    to send one of the claims, that transaction fails, and the claim cannot be cancelled any more.
    """
    writes = []
    for claim in claims:
        writes.append(Put(claim.but(state=ClaimState.CANCELLED)))
        writes.append(Put(delivery_row(claim, Outcome.CANCELLED, reason, at)))
    return writes


def delivery_row(
    claim: ClaimRow, outcome: Outcome, reason: str, at: int, gate: str | None = None
) -> DecisionRow:
    """Return the ledger row of a claim's end. at: journey time, epoch ms."""
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
    """Return the ledger row of an enrolment's end. at: journey time, epoch ms."""
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
