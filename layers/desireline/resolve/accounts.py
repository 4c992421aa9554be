"""Find the subject of an event's account, and merge it with the owner's subject.

A person owns an account after a trial_signup that names it, a group call with role owner, or an
event of billing. Then the account and the person share one subject. A mention only adds the event's
fragment to the account's row. The account's subject then counts the fragment's events for it.
"""

from __future__ import annotations

from desireline.events import Account, AccountRole, CanonicalEvent
from desireline.identity.trace import subject_of_account, trace_subject
from desireline.identity.view import NOTED_FRAGMENTS
from desireline.ports import Metrics, Store
from desireline.resolve.subjects import in_different_groups, merged, older_first, with_person
from desireline.rows import AccountRow, Check, PersonRow, Put, SubjectRow


class Accounts:
    """Assigns the accounts of an event to subjects."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def __call__(self, event: CanonicalEvent, person: PersonRow) -> str:
        """Return the id of the event's subject: that of its first account, else of its person.

        Raises ConflictError if a row changed since it was read. Earlier writes of the call stay
        valid, so the caller can repeat it.
        """
        owners = person.subject
        subjects = []
        for account in event.accounts:
            subjects.append(self._subject_of(event, account, person, owners))
            if account.role is AccountRole.OWNER:
                # All accounts that one event owns join one subject, even if the person's own
                # subject could not join it.
                owners = subjects[-1]
        return trace_subject(self._store, subjects[0] if subjects else person.subject)[0].subject

    def _subject_of(
        self, event: CanonicalEvent, account: Account, person: PersonRow, owners: str
    ) -> str:
        row = self._store.get(AccountRow.ref_to(account.key))
        own, _ = trace_subject(self._store, owners)
        owned = account.role is AccountRole.OWNER and not in_different_groups(
            own.accounts, (account.key,)
        )
        if row is None:
            return self._first_named(event, account.key, person, own if owned else None)
        theirs, _ = trace_subject(self._store, row.subject)
        different = theirs.subject != own.subject
        if owned and different and not in_different_groups(own.accounts, theirs.accounts):
            return self._merge(event, row, person, own, theirs)
        self._note(event, row)
        return theirs.subject

    def _first_named(
        self, event: CanonicalEvent, key: str, person: PersonRow, own: SubjectRow | None
    ) -> str:
        """Write the account's first row, with the owner's subject or, without an owner, its own."""
        at = event.received_at
        if own is None:
            name = subject_of_account(key)
            subject = self._store.get(SubjectRow.ref_to(name)) or SubjectRow(subject=name)
            subject = subject.but(accounts=(key,), created=at)
            guards: list[Put | Check] = []
        else:
            subject = with_person(own, person=person.fragment, account=key, at=at)
            guards = [Check(person)]
        account = AccountRow(account=key, subject=subject.subject, fragments=(event.fragment,))
        self._store.write(Put(account), Put(subject), *guards)
        return subject.subject

    def _merge(
        self,
        event: CanonicalEvent,
        row: AccountRow,
        person: PersonRow,
        own: SubjectRow,
        theirs: SubjectRow,
    ) -> str:
        """Merge the owner's subject and the account's. The older one wins."""
        joined = with_person(own, person=person.fragment, at=event.received_at)
        survivor, tombstone = merged(*older_first(joined, theirs))
        account = _with_fragment(row, event.fragment).but(subject=survivor.subject)
        self._store.write(Put(survivor), Put(tombstone), Put(account), Check(person))
        self._metrics.count("subjects_merged")
        return survivor.subject

    def _note(self, event: CanonicalEvent, row: AccountRow) -> None:
        noted = _with_fragment(row, event.fragment)
        if noted is row:
            return
        if len(noted.fragments) > NOTED_FRAGMENTS:
            self._metrics.count("account_fragments_limit")
            return
        self._store.write(Put(noted))


def _with_fragment(row: AccountRow, fragment: str) -> AccountRow:
    if fragment in row.fragments:
        return row
    return row.but(fragments=tuple(sorted({*row.fragments, fragment})))
