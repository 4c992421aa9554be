"""A subject's part in what is written about it."""

from __future__ import annotations

from desireline.intervene.gate import with_holdout
from desireline.rows import Check, Put, SubjectRow


def guard(root: SubjectRow, holdout_percent: int) -> Put | Check:
    """The subject's part of a transaction: still at the version read, so not merged, and with its
    holdout assigned.

    A subject without a row is not given one, since a row has to know since when the subject exists:
    its draw is the same at every time, and is stored as soon as it has a row.
    """
    assigned = with_holdout(root, holdout_percent)
    return Check(root) if assigned is root or root.version == 0 else Put(assigned)
