"""Hold out a share of the subjects, and keep the draw on the subject's row."""

from __future__ import annotations

import hashlib

from desireline.rows import Check, Put, SubjectRow


def guard(root: SubjectRow, holdout_percent: int) -> Put | Check:
    """The subject's part of a transaction: still at the version read, so not merged, and with its
    holdout assigned.

    A subject without a row gets one, so that a merge knows what it was assigned; it has no age yet
    (`created` 0), and so never takes precedence over one that has.
    """
    assigned = with_holdout(root, holdout_percent)
    return Check(root) if assigned is root else Put(assigned)


def with_holdout(subject: SubjectRow, percent: int) -> SubjectRow:
    """The subject with its holdout assigned, once and for good; the same row if it was before.

    percent: 0 to 100. The draw is a pure function of the id, so that two that assign at the same
    time agree; what is stored stands, also when the percentage is changed later.
    """
    if subject.holdout is not None:
        return subject
    digest = hashlib.sha256(f"holdout|{subject.subject}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") % 10_000
    return subject.but(holdout=draw < percent * 100)
