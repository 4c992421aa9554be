"""Table identity: who is who."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from desireline.contracts import Table
from desireline.rows.base import Ref, Row


def fragment_of(alias: str) -> str:
    """Return the fragment of an alias as `PersonRow.aliases` lists it, 'type#fragment'."""
    return alias.partition("#")[2]


class AliasRow(Row):
    """A#type#fragment: a shorter way to an alias' person, and whether the alias still links.

    An absent row means root = fragment, whose person may be a tombstone by now.
    """

    table: ClassVar[Table] = Table.IDENTITY
    prefix: ClassVar[str] = "A#"
    type: str
    fragment: str
    root: str
    ambiguous: bool = False

    @property
    def pk(self) -> str:
        return self.ref_to(self.type, self.fragment).pk

    @classmethod
    def ref_to(cls, alias_type: str, fragment: str) -> Ref[AliasRow]:
        return Ref(cls, cls.partition_key(alias_type, fragment))


class Evidence(BaseModel):
    """A pair of aliases, each 'type#fragment', that an event joined."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    left: str
    right: str
    rule: str
    event_id: str
    occurred_at: int


class PersonRow(Row):
    """P#fragment: a connected component of aliases, or a tombstone that points to the winner.

    unique: alias type -> fragment, for the types of which a person has one at most.
    aliases: 'type#fragment' of each. merges: of two persons with several aliases each, that made
    this one (ADR 29). account: the key of the account that this person owns.
    ambiguous: one of its aliases has been seen with someone else's unique id.
    created: the earliest received_at. replayed: a replay wrote it last, which starts nothing.
    evidence: of a tombstone, the pairs over which it was merged.
    """

    table: ClassVar[Table] = Table.IDENTITY
    prefix: ClassVar[str] = "P#"
    fragment: str
    subject: str
    merged_into: str | None = None
    unique: dict[str, str] = {}
    aliases: tuple[str, ...] = ()
    merges: int = 0
    account: str | None = None
    ambiguous: bool = False
    created: int = 0
    replayed: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def pk(self) -> str:
        return self.ref_to(self.fragment).pk

    @classmethod
    def ref_to(cls, fragment: str) -> Ref[PersonRow]:
        return Ref(cls, cls.partition_key(fragment))


class EvidenceRow(Row):
    """G#edge: a pair of aliases that an event joined without merging anybody: because they were one
    person already, or must not become one. What merged two persons is in the loser's tombstone."""

    table: ClassVar[Table] = Table.IDENTITY
    prefix: ClassVar[str] = "G#"
    edge: str
    left: str
    right: str
    rule: str
    event_id: str
    occurred_at: int
    roots: tuple[str, str]
    merged: bool
    reason: str = ""

    @property
    def pk(self) -> str:
        return self.ref_to(self.edge).pk

    @classmethod
    def ref_to(cls, edge: str) -> Ref[EvidenceRow]:
        return Ref(cls, cls.partition_key(edge))


class SubjectRow(Row):
    """J#subject: what is scored, never renamed; a tombstone when merged into an older one.

    accounts: keys of the accounts that belong to it. persons: roots when it was written
    (follow their tombstones). absorbed: subjects merged into it, transitively.
    holdout: None until it is assigned. created: the earliest received_at. replayed: a replay wrote
    it last.
    """

    table: ClassVar[Table] = Table.IDENTITY
    prefix: ClassVar[str] = "J#"
    subject: str
    merged_into: str | None = None
    accounts: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    absorbed: tuple[str, ...] = ()
    created: int = 0
    holdout: bool | None = None
    holdout_conflict: bool = False
    replayed: bool = False

    @property
    def pk(self) -> str:
        return self.ref_to(self.subject).pk

    @classmethod
    def ref_to(cls, subject: str) -> Ref[SubjectRow]:
        return Ref(cls, cls.partition_key(subject))


class AccountRow(Row):
    """C#account: its subject, and the fragments that named it. replayed: a replay wrote it last."""

    table: ClassVar[Table] = Table.IDENTITY
    prefix: ClassVar[str] = "C#"
    account: str
    subject: str
    fragments: tuple[str, ...] = ()
    replayed: bool = False

    @property
    def pk(self) -> str:
        return self.ref_to(self.account).pk

    @classmethod
    def ref_to(cls, account: str) -> Ref[AccountRow]:
        return Ref(cls, cls.partition_key(account))
