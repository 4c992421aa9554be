"""Which subject a trigger or an enrolment belongs to by now (delivery rule 5)."""

from __future__ import annotations

from dataclasses import dataclass

from desireline.errors import TerminalError
from desireline.intervene.gate import with_holdout
from desireline.ports import Store
from desireline.rows import Check, Put, SubjectRow


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


def guard(root: SubjectRow, holdout_percent: int) -> Put | Check:
    """The subject's part of a transaction: still at the version read, and with its holdout
    assigned. A subject without a row is not given one: the draw is the same at every time."""
    assigned = with_holdout(root, holdout_percent)
    return Check(root) if assigned is root or root.version == 0 else Put(assigned)
