"""Assign a share of the subjects to the holdout, and store the assignment in the subject's row."""

from __future__ import annotations

import hashlib

from desireline.rows import Check, Put, SubjectRow


def guard(root: SubjectRow, holdout_percent: int) -> Put | Check:
    """Return the write that a transaction needs for its subject: a check, or its assignment.

    Both fail if the subject has changed or was merged since it was read. A subject without a row
    gets one, so that a merge finds the assignment. Its `created` is 0, so it loses every merge
    against a subject with events.
    """
    assigned = with_holdout(root, holdout_percent)
    return Check(root) if assigned is root else Put(assigned)


def with_holdout(subject: SubjectRow, percent: int) -> SubjectRow:
    """Return the subject with its assignment, or the same row if it has one.

    percent: 0 to 100. The draw is a pure function of the subject's id, so concurrent assignments
    agree. A stored assignment never changes, even if the percentage does.
    """
    if subject.holdout is not None:
        return subject
    digest = hashlib.sha256(f"holdout|{subject.subject}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") % 10_000
    return subject.but(holdout=draw < percent * 100)
