"""Follow the tombstones of persons and subjects to the rows that are live now."""

from __future__ import annotations

from uuid import UUID, uuid5

from desireline.errors import TerminalError
from desireline.events import ResolvedEvent
from desireline.identity.reading import Reading, read
from desireline.ports import Store
from desireline.rows import PersonRow, SubjectRow

_ACCOUNTS = UUID("8f2b7c0e-53c5-5f0a-9d5e-6a0f3b1c7d42")


def subject_of_account(account: str) -> str:
    """The id of the subject that an account gets when it is named before anyone owns it."""
    return str(uuid5(_ACCOUNTS, account))


def trace_subject(store: Store, subject: str) -> tuple[SubjectRow, tuple[str, ...]]:
    """The live row that a subject's tombstones lead to, and the ids passed on the way.

    A subject without a row is a person that nothing was ever linked to: its row is the default
    one, at version 0. Raises TerminalError on a circle, which no merge can make.
    """
    return read(store, tracing(subject))


def tracing(subject: str) -> Reading[tuple[SubjectRow, tuple[str, ...]]]:
    """`trace_subject` as a reading."""
    passed = [subject]
    while True:
        ref = SubjectRow.ref_to(passed[-1])
        row = (yield [ref]).get(ref)
        if row is None:
            return default_subject(passed[-1]), tuple(passed)
        if row.merged_into is None:
            return row, tuple(passed)
        if row.merged_into in passed:
            raise TerminalError("subject_circle", row.subject)
        passed.append(row.merged_into)


def counting_subject(resolved: ResolvedEvent) -> Reading[str]:
    """The subject that counts the event by now (follow its tombstones), or had when it was read.

    Not always what the event was passed on with: when persons turn out to be one who own accounts
    of two groups, the subjects stay apart and the person leaves one of them, without a tombstone.
    Of an account's event the account decides, and no account ever leaves its subject.
    """
    if resolved.event.accounts:
        return resolved.subject
    following = resolved.person
    while True:
        ref = PersonRow.ref_to(following)
        person: PersonRow | None = (yield [ref]).get(ref)
        if person is None:
            return resolved.subject
        if person.merged_into is None:
            return person.subject
        following = person.merged_into


def default_subject(subject: str) -> SubjectRow:
    """The subject of a person that has no rows yet: its only person is its namesake."""
    return SubjectRow(subject=subject, persons=(subject,))
