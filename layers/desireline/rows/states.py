"""Table states: what was counted."""

from __future__ import annotations

from typing import ClassVar

from desireline.contracts import Table
from desireline.journey.state import JourneyState
from desireline.rows.base import Ref, Row


class StateRow(Row):
    """S#generation#fragment / account: a fragment's folded state with the ids it has counted.

    ids: packed, see desireline.resolve.fold. floor: days at or below it are sealed; -1 if none.
    """

    table: ClassVar[Table] = Table.STATES
    prefix: ClassVar[str] = "S#"
    generation: int = 1
    fragment: str
    account: str
    state: JourneyState
    ids: bytes = b""
    floor: int = -1

    @property
    def pk(self) -> str:
        return self.partition_key(self.generation, self.fragment)

    @property
    def sk(self) -> str:
        return self.account

    @classmethod
    def ref_to(cls, fragment: str, account: str, generation: int = 1) -> Ref[StateRow]:
        return Ref(cls, cls.partition_key(generation, fragment), account)


class SealedIdsRow(Row):
    """S#generation#fragment#sealed / account#day: ids of a closed day, out of the hot row."""

    table: ClassVar[Table] = Table.STATES
    prefix: ClassVar[str] = "S#"
    generation: int = 1
    fragment: str
    account: str
    day: int
    ids: bytes = b""

    @property
    def pk(self) -> str:
        return self.partition_key(self.generation, self.fragment, "sealed")

    @property
    def sk(self) -> str:
        return f"{self.account}#{self.day}"

    @classmethod
    def ref_to(
        cls, fragment: str, account: str, day: int, generation: int = 1
    ) -> Ref[SealedIdsRow]:
        return Ref(cls, cls.partition_key(generation, fragment, "sealed"), f"{account}#{day}")
