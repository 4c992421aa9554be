"""Table quarantine: what a component could not handle, as it was set aside and as it is listed.

A row points to a raw body, or holds the record of a later component. It expires with the raw
bodies of the archive.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from desireline.contracts import Table
from desireline.events import RawPointer
from desireline.rows.base import Ref, Row

PAGE = 80
"""Cases of a page: they are written in one transaction with their page and group, at most."""


class Group(NamedTuple):
    """What cases are counted by."""

    source: str
    component: str
    reason: str
    event: str


class CaseRow(Row):
    """Q#id: one thing in quarantine, written once, then marked when it is replayed.

    arrived: wall time, epoch ms; at: journey time. key, record: of a later component's record;
    record is None where it was too large or no text. counted_as: the event that it is counted
    under, where the day has too many. replayed: the replay's id; repaired_as: the id of what it
    became.
    """

    table: ClassVar[Table] = Table.QUARANTINE
    prefix: ClassVar[str] = "Q#"
    id: str
    source: str
    component: str
    reason: str
    detail: str = ""
    event_name: str = ""
    plan_version: str | None = None
    raw: RawPointer | None = None
    key: str | None = None
    record: str | None = None
    at: int
    arrived: int
    counted_as: str | None = None
    replayed: str | None = None
    replayed_at: int | None = None
    repaired_as: str | None = None

    @property
    def pk(self) -> str:
        return self.ref_to(self.id).pk

    @property
    def group(self) -> Group:
        event = self.event_name if self.counted_as is None else self.counted_as
        return Group(self.source, self.component, self.reason, event)

    @classmethod
    def ref_to(cls, case_id: str) -> Ref[CaseRow]:
        return Ref(cls, cls.partition_key(case_id))


class CaseGroupRow(Row):
    """G#day / group: how many cases of a kind arrived on a day. first, last: of arrivals."""

    table: ClassVar[Table] = Table.QUARANTINE
    prefix: ClassVar[str] = "G#"
    day: int
    source: str
    component: str
    reason: str
    event_name: str
    total: int = 0
    replayed: int = 0
    first: int = 0
    last: int = 0

    @property
    def group(self) -> Group:
        return Group(self.source, self.component, self.reason, self.event_name)

    @property
    def pk(self) -> str:
        return self.partition_key(self.day)

    @property
    def sk(self) -> str:
        return "#".join(self.group)

    @classmethod
    def ref_to(cls, day: int, group: Group) -> Ref[CaseGroupRow]:
        return Ref(cls, cls.partition_key(day), "#".join(group))


class CasePageRow(Row):
    """L#day#group / page: the ids of up to PAGE cases of a group and day, in order of indexing.

    oldest: the oldest arrival on this page. newest: the newest arrival on this page and on all
    pages before it. So a reader of the newest cases knows when no further page has one.
    """

    table: ClassVar[Table] = Table.QUARANTINE
    prefix: ClassVar[str] = "L#"
    day: int
    group_key: str
    number: int
    ids: tuple[str, ...] = ()
    oldest: int = 0
    newest: int = 0

    @property
    def pk(self) -> str:
        return self.partition_key(self.day, self.group_key)

    @property
    def sk(self) -> str:
        return f"{self.number:09d}"

    @classmethod
    def ref_to(cls, day: int, group: Group, number: int) -> Ref[CasePageRow]:
        return Ref(cls, cls.partition_key(day, "#".join(group)), f"{number:09d}")


class SetAsideRow(Row):
    """R#topic#partition#offset: a record that a function without a Kafka client could not handle.

    The table's stream announces it on events.quarantined, from which its case is made. at: journey
    time, epoch ms. record: empty if it is longer than the limit of desireline.set_aside.
    """

    table: ClassVar[Table] = Table.QUARANTINE
    prefix: ClassVar[str] = "R#"
    topic: str
    partition: int
    offset: int
    component: str
    source: str
    reason: str
    detail: str = ""
    record: str = ""
    key: str | None = None
    at: int

    @property
    def pk(self) -> str:
        return self.partition_key(self.topic, self.partition, self.offset)
