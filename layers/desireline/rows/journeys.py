"""Table journeys: what is known of a subject."""

from __future__ import annotations

from typing import ClassVar

from desireline.contracts import Table
from desireline.events import Assessment, Reason, Stamps
from desireline.rows.base import Ref, Row


class JourneyRow(Row):
    """J#subject: the current assessment.

    replayed: only replays led to it, so that it starts nothing; `before` is then what was current
    when something else last did, None if nothing ever did.
    """

    table: ClassVar[Table] = Table.JOURNEYS
    prefix: ClassVar[str] = "J#"
    subject: str
    current: Assessment
    reasons: tuple[Reason, ...] = ()
    causes: tuple[str, ...] = ()
    stamps: Stamps = Stamps()
    replayed: bool = False
    before: Assessment | None = None

    @property
    def pk(self) -> str:
        return self.ref_to(self.subject).pk

    @classmethod
    def ref_to(cls, subject: str) -> Ref[JourneyRow]:
        return Ref(cls, cls.partition_key(subject))
