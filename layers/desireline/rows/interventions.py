"""Table interventions: what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from desireline.contracts import Table
from desireline.events import Stamps
from desireline.rows.base import Ref, Row


class EnrolmentState(StrEnum):
    """An enrolment runs until a check or an exit ends it."""

    RUNNING = "running"
    COMPLETED = "completed"
    EXITED = "exited"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class EnrolmentRow(Row):
    """E#enrolment: one run of a playbook for a subject.

    entry_at: journey time of the trigger, which anchors all due times. branches: what the checks
    decided, by step. The row, not the execution's name, is the truth of whether it was started.
    """

    table: ClassVar[Table] = Table.INTERVENTIONS
    prefix: ClassVar[str] = "E#"
    enrolment: str
    subject: str
    playbook: str
    playbook_version: int
    slot: str
    entry_id: str
    entry_at: int
    state: EnrolmentState = EnrolmentState.RUNNING
    branches: dict[str, str] = {}
    stamps: Stamps = Stamps()

    @property
    def pk(self) -> str:
        return self.ref_to(self.enrolment).pk

    @classmethod
    def ref_to(cls, enrolment: str) -> Ref[EnrolmentRow]:
        return Ref(cls, cls.partition_key(enrolment))


class SlotRow(Row):
    """K#subject / playbook#slot: at most one enrolment of a playbook for a subject and slot."""

    table: ClassVar[Table] = Table.INTERVENTIONS
    prefix: ClassVar[str] = "K#"
    subject: str
    playbook: str
    slot: str
    enrolment: str

    @property
    def pk(self) -> str:
        return self.partition_key(self.subject)

    @property
    def sk(self) -> str:
        return f"{self.playbook}#{self.slot}"

    @classmethod
    def ref_to(cls, subject: str, playbook: str, slot: str) -> Ref[SlotRow]:
        return Ref(cls, cls.partition_key(subject), f"{playbook}#{slot}")


class ClaimState(StrEnum):
    """claimed -> sending -> sent | recorded | refused | unknown; claimed -> cancelled | expired."""

    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    RECORDED = "recorded"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


OPEN_CLAIMS = frozenset({ClaimState.CLAIMED, ClaimState.SENDING})


class ClaimRow(Row):
    """L#subject / playbook#slot#step#action: the right to send one message.

    not_after: journey time after which it is no longer sent. attempt: token of the sender that
    holds it; attempted_at: wall time of that. message: what the channel is to say. concerns: the
    fragments and accounts of its subject when it was decided, any of which may be suppressed before
    it is sent; none in rows of earlier releases.
    """

    table: ClassVar[Table] = Table.INTERVENTIONS
    prefix: ClassVar[str] = "L#"
    subject: str
    playbook: str
    playbook_version: int
    slot: str
    step: str
    action: str
    enrolment: str
    channel: str
    state: ClaimState = ClaimState.CLAIMED
    recipient: str = ""
    title: str
    body: str
    attributes: dict[str, str | int] = {}
    concerns: tuple[str, ...] = ()
    decided_at: int
    not_after: int
    attempt: str | None = None
    attempted_at: int | None = None
    attempts: int = 0
    provider_id: str | None = None
    stamps: Stamps = Stamps()

    @property
    def pk(self) -> str:
        return self.partition_key(self.subject)

    @property
    def sk(self) -> str:
        return f"{self.playbook}#{self.slot}#{self.step}#{self.action}"

    @classmethod
    def ref_to(
        cls, subject: str, playbook: str, slot: str, step: str, action: str
    ) -> Ref[ClaimRow]:
        return Ref(cls, cls.partition_key(subject), f"{playbook}#{slot}#{step}#{action}")


class Outcome(StrEnum):
    """What a decision came to. CLAIMED is to send; what the channel made of it follows."""

    ENROLLED = "enrolled"
    NOT_ENROLLED = "not_enrolled"
    CLAIMED = "claimed"
    SUPPRESSED = "suppressed"
    BRANCHED = "branched"
    COMPLETED = "completed"
    EXITED = "exited"
    SUPERSEDED = "superseded"
    SENT = "sent"
    RECORDED = "recorded"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class DecisionRow(Row):
    """D#subject / enrolment#step#action#phase: one line of the ledger, put if absent.

    phase: 'start' (enrolled or why not), 'branch', 'gate' (send or why not), 'delivery' (what the
    channel made of the claim), 'end' (how the enrolment ended). at: journey time.
    """

    table: ClassVar[Table] = Table.INTERVENTIONS
    prefix: ClassVar[str] = "D#"
    subject: str
    playbook: str
    playbook_version: int
    enrolment: str
    slot: str
    step: str = "-"
    action: str = "-"
    phase: str
    channel: str | None = None
    outcome: Outcome
    reason: str
    gate: str | None = None
    evidence: Mapping[str, Any] = {}
    at: int
    stamps: Stamps = Stamps()

    @property
    def pk(self) -> str:
        return self.partition_key(self.subject)

    @property
    def sk(self) -> str:
        return f"{self.enrolment}#{self.step}#{self.action}#{self.phase}"

    @classmethod
    def ref_to(
        cls, subject: str, enrolment: str, step: str, action: str, phase: str
    ) -> Ref[DecisionRow]:
        return Ref(cls, cls.partition_key(subject), f"{enrolment}#{step}#{action}#{phase}")
