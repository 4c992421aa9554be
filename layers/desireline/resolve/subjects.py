"""Rules for merging subjects and for their accounts (delivery rule 5)."""

from __future__ import annotations

from collections.abc import Iterable

from desireline.rows import SubjectRow

GROUP = "group:"
"""The prefix of the product's own accounts, of which a subject has at most one. A company may have
several customer ids in billing, and several records in the CRM."""


def in_different_groups(left: Iterable[str], right: Iterable[str]) -> bool:
    """Tell whether two subjects with these account keys must not merge."""
    groups = {account for account in (*left, *right) if account.startswith(GROUP)}
    return len(groups) > 1


def older_first(left: SubjectRow, right: SubjectRow) -> tuple[SubjectRow, SubjectRow]:
    """Order two subjects by their earliest received_at, then by id. The first one wins a merge.

    A subject without a row has no received_at, and comes last."""
    one, two = sorted((left, right), key=lambda s: (s.created == 0, s.created, s.subject))
    return one, two


def merged(winner: SubjectRow, loser: SubjectRow) -> tuple[SubjectRow, SubjectRow]:
    """Return the winner with the loser's accounts and persons, and the loser's tombstone.

    If one of the two is in the holdout, the merged subject is too. `holdout_conflict` marks a
    subject whose two parts had different assignments.
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


def with_person(subject: SubjectRow, *, person: str, account: str = "", at: int) -> SubjectRow:
    """Return the subject with one more person, and with the account unless it is empty.

    at: the event's received_at, in epoch ms."""
    return subject.but(
        persons=_joined(subject.persons, (person,)),
        accounts=_joined(subject.accounts, (account,) if account else ()),
        created=min(subject.created or at, at),
    )


def _joined(left: Iterable[str], right: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*left, *right}))
