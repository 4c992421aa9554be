"""Follow the tombstones of persons and subjects to their live rows."""

from __future__ import annotations

from uuid import UUID, uuid5

from desireline.errors import TerminalError
from desireline.events import ResolvedEvent
from desireline.identity.reading import Reading, read
from desireline.ports import Store
from desireline.rows import PersonRow, SubjectRow

_ACCOUNTS = UUID("8f2b7c0e-53c5-5f0a-9d5e-6a0f3b1c7d42")


def subject_of_account(account: str) -> str:
    """Return the id of the subject of an account that nobody owns yet."""
    return str(uuid5(_ACCOUNTS, account))


def trace_subject(store: Store, subject: str) -> tuple[SubjectRow, tuple[str, ...]]:
    """Return a subject's live row, and the ids on the way to it, both ends included.

    A subject without a row is that of a person without links. Its row is the default one, at
    version 0. Raises TerminalError if the tombstones form a cycle, which no merge creates.
    """
    return read(store, tracing(subject))


def tracing(subject: str) -> Reading[tuple[SubjectRow, tuple[str, ...]]]:
    """Do what `trace_subject` does, as a reading."""
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
    """Return the id of the subject that counts the event now. It may be a tombstone.

    It can differ from `resolved.subject`. If a merged person owns accounts of two groups, the
    subjects stay separate, and the person leaves one of them without a tombstone. An event with an
    account belongs to the account's subject, and no account leaves its subject.
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
    """Return the subject of a person without rows. Both have the same id."""
    return SubjectRow(subject=subject, persons=(subject,))
