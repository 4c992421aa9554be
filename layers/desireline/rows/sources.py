"""Table sources: how far what is pulled has been pulled."""

from __future__ import annotations

from typing import ClassVar

from desireline.contracts import Table
from desireline.rows.base import Ref, Row


class PullRow(Row):
    """U#source#project: where the pulling of a project's export is. Days are ISO dates.

    settled: the last day that needs not be pulled again. through: the last day of the latest
    complete sweep, which began at since (wall time, 0: there was none). sweep: when the sweep that
    is not yet complete began, and day: where it goes on; None between sweeps. posted: digests of
    the chunks of that day that are durable.
    """

    table: ClassVar[Table] = Table.SOURCES
    prefix: ClassVar[str] = "U#"
    source: str
    project: str
    settled: str = ""
    through: str = ""
    since: int = 0
    sweep: int | None = None
    day: str | None = None
    posted: tuple[str, ...] = ()

    @property
    def pk(self) -> str:
        return self.ref_to(self.source, self.project).pk

    @classmethod
    def ref_to(cls, source: str, project: str) -> Ref[PullRow]:
        return Ref(cls, cls.partition_key(source, project))
