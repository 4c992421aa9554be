"""Table journeys: what is known of a subject."""

from __future__ import annotations

from typing import ClassVar

from desireline.contracts import Table
from desireline.events import Assessment, Reason, Stamps
from desireline.rows.base import Ref, Row


class JourneyRow(Row):
    """J#subject: the current assessment."""

    table: ClassVar[Table] = Table.JOURNEYS
    subject: str
    current: Assessment
    reasons: tuple[Reason, ...] = ()
    causes: tuple[str, ...] = ()
    stamps: Stamps = Stamps()

    @property
    def pk(self) -> str:
        return self.at(self.subject).pk

    @classmethod
    def at(cls, subject: str) -> Ref[JourneyRow]:
        return Ref(cls, f"J#{subject}")
