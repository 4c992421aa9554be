"""Which subject a trigger or an enrolment belongs to by now (delivery rule 5)."""

from __future__ import annotations

from dataclasses import dataclass

from desireline.errors import TerminalError
from desireline.ports import Store
from desireline.rows import SubjectRow


@dataclass(frozen=True, slots=True)
class Lineage:
    """root: the live subject, version 0 if it has no row yet. passed: the ids from the one asked
    for to the root, both included."""

    root: SubjectRow
    passed: tuple[str, ...]


def trace(store: Store, subject: str) -> Lineage:
    """Follow the tombstones. Raises TerminalError on a circle, which a merge cannot make."""
    passed = [subject]
    while True:
        row = store.get(SubjectRow.at(passed[-1]))
        if row is None:
            return Lineage(SubjectRow(subject=passed[-1], persons=(passed[-1],)), tuple(passed))
        if row.merged_into is None:
            return Lineage(row, tuple(passed))
        if row.merged_into in passed:
            raise TerminalError("subject_circle", row.subject)
        passed.append(row.merged_into)
