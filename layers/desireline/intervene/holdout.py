"""A subject's part in what is written about it."""

from __future__ import annotations

from desireline.intervene.gate import with_holdout
from desireline.rows import Check, Put, SubjectRow


def guard(root: SubjectRow, holdout_percent: int) -> Put | Check:
    """The subject's part of a transaction: still at the version read, so not merged, and with its
    holdout assigned.

    A subject without a row gets one, so that a merge knows what it was assigned; it has no age yet
    (`created` 0), and so never takes precedence over one that has.
    """
    assigned = with_holdout(root, holdout_percent)
    return Check(root) if assigned is root else Put(assigned)
