"""Table admission: who may send, how much, and of whom nothing is taken or sent."""

from __future__ import annotations

from typing import ClassVar

from desireline.contracts import Table
from desireline.rows.base import Ref, Row


class SuppressionRow(Row):
    """X#target / channel: consent withdrawn, or suppressed, for one channel or for all ('*').

    target: a fragment, person, subject or account. at, lifted_at: epoch ms; lifted_at is None while
    the suppression holds.
    """

    table: ClassVar[Table] = Table.ADMISSION
    prefix: ClassVar[str] = "X#"
    target: str
    channel: str = "*"
    reason: str
    at: int
    lifted_at: int | None = None

    @property
    def pk(self) -> str:
        return self.partition_key(self.target)

    @property
    def sk(self) -> str:
        return self.channel

    @classmethod
    def ref_to(cls, target: str, channel: str = "*") -> Ref[SuppressionRow]:
        return Ref(cls, cls.partition_key(target), channel)


class SuppressionLogRow(Row):
    """XE# / time#fragment: receive refuses this fragment from `at` on, or takes it again (lifted).

    All rows have one partition key and are in the order of time, so that receive reads only what
    is new. A row never changes: the newest row of a fragment holds. at: wall time, epoch ms.
    """

    table: ClassVar[Table] = Table.ADMISSION
    prefix: ClassVar[str] = "XE#"
    target: str
    at: int
    lifted: bool = False

    @property
    def pk(self) -> str:
        return self.partition_key()

    @property
    def sk(self) -> str:
        return f"{self.since(self.at)}{self.target}"

    @classmethod
    def since(cls, at: int) -> str:
        """Return the sort key at which the rows of that time begin."""
        return f"{at:015d}#"


class BucketRow(Row):
    """T#name: how many events a sender or write key may still send (desireline.throttle).

    tokens: thousandths of an event. filled_at: wall time up to which the bucket was filled.
    """

    table: ClassVar[Table] = Table.ADMISSION
    prefix: ClassVar[str] = "T#"
    name: str
    tokens: int
    filled_at: int

    @property
    def pk(self) -> str:
        return self.partition_key(self.name)

    @classmethod
    def ref_to(cls, name: str) -> Ref[BucketRow]:
        return Ref(cls, cls.partition_key(name))
