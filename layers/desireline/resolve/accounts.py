"""Accounts: which subject an event's account belongs to, and whose subject it adopts.

Ownership (a trial_signup that names the account, a group call with role owner, billing) brings the
account and the person's subject together; a mere mention only notes that this fragment has a row
under the account, so that the account's subject counts it.
"""

from __future__ import annotations

from desireline.events import Account, AccountRole, CanonicalEvent
from desireline.identity.trace import subject_of_account, trace_subject
from desireline.identity.view import NOTED_FRAGMENTS
from desireline.ports import Metrics, Store
from desireline.resolve.subjects import apart, joined_by, merged, older_first
from desireline.rows import AccountRow, Check, PersonRow, Put, SubjectRow


class Accounts:
    """Brings the accounts that an event names together with subjects."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def __call__(self, event: CanonicalEvent, person: PersonRow) -> str:
        """The event's subject: of the first account that it names, else of its person.

        Raises ConflictError when a row changed meanwhile; what was written before stays right.
        """
        owners = person.subject
        subjects = []
        for account in event.accounts:
            subjects.append(self._one(event, account, person, owners))
            if account.role is AccountRole.OWNER:
                # What one event says is owned goes together, even where the person's own subject
                # had to stay apart from the first of it.
                owners = subjects[-1]
        return trace_subject(self._store, subjects[0] if subjects else person.subject)[0].subject

    def _one(self, event: CanonicalEvent, account: Account, person: PersonRow, owners: str) -> str:
        row = self._store.get(AccountRow.ref_to(account.key))
        own, _ = trace_subject(self._store, owners)
        owned = account.role is AccountRole.OWNER and not apart(own.accounts, (account.key,))
        if row is None:
            return self._first_named(event, account.key, person, own if owned else None)
        theirs, _ = trace_subject(self._store, row.subject)
        if owned and theirs.subject != own.subject and not apart(own.accounts, theirs.accounts):
            return self._merge(event, row, person, own, theirs)
        self._note(event, row)
        return theirs.subject

    def _first_named(
        self, event: CanonicalEvent, key: str, person: PersonRow, own: SubjectRow | None
    ) -> str:
        """Adopt the owner's subject, or give the account one of its own until somebody owns it."""
        at = event.received_at
        if own is None:
            name = subject_of_account(key)
            subject = self._store.get(SubjectRow.ref_to(name)) or SubjectRow(subject=name)
            subject = subject.but(accounts=(key,), created=at)
            guards: list[Put | Check] = []
        else:
            subject = joined_by(own, person=person.fragment, account=key, at=at)
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
        """The account has a subject, its owner another: they are one, and the older wins."""
        joined = joined_by(own, person=person.fragment, at=event.received_at)
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
