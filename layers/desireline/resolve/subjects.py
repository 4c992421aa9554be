"""Rules about subjects and accounts: what is scored together (delivery rule 5)."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.rows import SubjectRow

GROUP = "group:"
"""Accounts of the product itself: a subject has one at most. A company may have several customer
ids in billing or records in the CRM."""


def apart(left: Iterable[str], right: Iterable[str]) -> bool:
    """Whether subjects with these accounts must stay apart: they are of different groups."""
    groups = {account for account in (*left, *right) if account.startswith(GROUP)}
    return len(groups) > 1


def older_first(left: SubjectRow, right: SubjectRow) -> tuple[SubjectRow, SubjectRow]:
    """The older wins: by the earliest received_at, then by id. One without a row has no age yet."""
    one, two = sorted((left, right), key=lambda s: (s.created == 0, s.created, s.subject))
    return one, two


def merged(winner: SubjectRow, loser: SubjectRow) -> tuple[SubjectRow, SubjectRow]:
    """The winner with everything of the loser's, and the loser's tombstone.

    At a merge holdout wins, and the subject is marked if the two had been assigned differently.
    """
    assigned = {winner.holdout, loser.holdout} - {None}
    survivor = winner.but(
        accounts=_joined(winner.accounts, loser.accounts),
        persons=_joined(winner.persons, loser.persons),
        absorbed=_joined(winner.absorbed, (loser.subject, *loser.absorbed)),
        created=min(filter(None, (winner.created, loser.created)), default=0),
        holdout=True if True in assigned else (False if assigned else None),
        holdout_conflict=winner.holdout_conflict or loser.holdout_conflict or len(assigned) > 1,
    )
    return survivor, loser.but(merged_into=winner.subject)


def joined_by(subject: SubjectRow, *, person: str, account: str = "", at: int) -> SubjectRow:
    """The subject with one more person, and the account if given; `at`: when it was received."""
    return subject.but(
        persons=_joined(subject.persons, (person,)),
        accounts=_joined(subject.accounts, (account,) if account else ()),
        created=min(subject.created or at, at),
    )


def _joined(left: Iterable[str], right: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*left, *right}))
