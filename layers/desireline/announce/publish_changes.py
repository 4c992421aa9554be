"""PublishChanges: what is stored and announced is announced from the tables' streams, once and by
nobody else (delivery rule 1).

Each mapping is a pure function of a row's old and new image. A change that is seen twice is
announced twice, with the same ids: consumers act on state, or claim by id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from desireline.contracts import Header, Topic
from desireline.errors import RetryableError
from desireline.events import (
    ChangeKind,
    ClaimReference,
    DecisionMade,
    IdentityChanged,
    JourneyScored,
    Message,
    Quarantined,
    Stamps,
)
from desireline.journey.crossings import crossings
from desireline.ports import Clock, Metrics, Producer, Queue
from desireline.records import NO_HEADERS, Outgoing
from desireline.rows import (
    AccountRow,
    Change,
    ClaimRow,
    ClaimState,
    DecisionRow,
    JourneyRow,
    PersonRow,
    Row,
    SetAsideRow,
    SubjectRow,
    fragment_of,
)

CHANGES = UUID("0d4a7f7e-3f0b-5c52-8b4e-7f1d5a2c9b10")
"""Namespace of the ids of identity changes: one fact, one id."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A message for a channel's queue."""

    channel: str
    reference: ClaimReference


Announcement = Outgoing | Queued


class PublishChanges:
    """Takes the changes of a stream, in the stream's order.

    queues: by channel, of those that are live. wall: for the stamps of identity changes.
    flush_timeout: seconds to wait for Kafka.
    """

    def __init__(
        self,
        *,
        producer: Producer,
        queues: Mapping[str, Queue],
        wall: Clock,
        metrics: Metrics,
        flush_timeout: float = 10.0,
    ) -> None:
        self._producer = producer
        self._queues = queues
        self._wall = wall
        self._metrics = metrics
        self._flush_timeout = flush_timeout

    def __call__(self, changes: Sequence[Change]) -> str | None:
        """Announce all of them; None, or the id of the first change that is to come again.

        A stream is taken up again at its first failure, so what is behind it is not tried.
        """
        failed = None
        for change in changes:
            try:
                self._announce(change)
            except RetryableError:
                failed = change.id
                break
        try:
            self._producer.flush(self._flush_timeout)
        except RetryableError:
            failed = changes[0].id
        return failed

    def _announce(self, change: Change) -> None:
        for announcement in announcements(change.old, change.new, self._wall.now()):
            if isinstance(announcement, Queued):
                self._queues[announcement.channel].put(announcement.reference.encode().decode())
                self._metrics.count("queued", channel=announcement.channel)
            else:
                self._producer.produce(announcement)
                self._metrics.count("announced")


def announcements(old: Row | None, new: Row | None, at: int) -> Iterator[Announcement]:
    """What a change says to others; nothing where a row is removed (time to live, erasure).

    at: wall time, for changes of identity, whose rows hold no time.
    """
    match new:
        case PersonRow() | SubjectRow() | AccountRow():
            for change in identity_changes(old, new, at):
                yield _record(Topic.IDENTITY_CHANGED, change.subject, change, replayed=new.replayed)
        case JourneyRow():
            scored = journey_scored(old if isinstance(old, JourneyRow) else None, new)
            yield _record(Topic.JOURNEYS_SCORED, scored.subject, scored, replayed=new.replayed)
        case DecisionRow() if old is None:
            yield _record(Topic.DECISIONS_MADE, new.subject, decision_made(new))
        case ClaimRow(state=ClaimState.CLAIMED) if old is None:
            yield Queued(new.channel, claim_reference(new))
        case SetAsideRow() if old is None:
            yield _record(Topic.EVENTS_QUARANTINED, new.source, quarantined(new))
        case _:
            return


def identity_changes(old: Row | None, new: Row, at: int) -> list[IdentityChanged]:
    """What a row of the table identity says: every subject that gained or lost state rows."""
    match new:
        case PersonRow():
            found = _of_person(old if isinstance(old, PersonRow) else None, new)
        case SubjectRow():
            found = _of_subject(old if isinstance(old, SubjectRow) else None, new)
        case AccountRow():
            found = _of_account(old if isinstance(old, AccountRow) else None, new)
        case _:
            found = []
    return [
        IdentityChanged(
            id=str(uuid5(CHANGES, "|".join((kind, subject, winner, loser)))),
            kind=kind,
            subject=subject,
            winner=winner,
            loser=loser,
            at=at,
            stamps=Stamps(resolved=at),
        )
        for kind, subject, winner, loser in dict.fromkeys(found)
    ]


def journey_scored(old: JourneyRow | None, new: JourneyRow) -> JourneyScored:
    """A changed assessment with what it crosses. What replays alone have led to was kept from the
    playbooks: the first change after it crosses that too."""
    previous = None if old is None else old.current
    if old is not None and old.replayed and not new.replayed:
        previous = old.before
    return JourneyScored(
        subject=new.subject,
        version=new.version,
        current=new.current,
        previous=previous,
        crossings=crossings(previous, new.current),
        reasons=new.reasons,
        causes=new.causes,
        stamps=new.stamps,
    )


def decision_made(row: DecisionRow) -> DecisionMade:
    """A line of the ledger."""
    return DecisionMade(
        subject=row.subject,
        playbook=row.playbook,
        playbook_version=row.playbook_version,
        enrolment=row.enrolment,
        slot=row.slot,
        step=row.step,
        action=row.action,
        channel=row.channel,
        outcome=row.outcome,
        reason=row.reason,
        gate=row.gate,
        evidence=dict(row.evidence),
        at=row.at,
        stamps=row.stamps,
    )


def claim_reference(row: ClaimRow) -> ClaimReference:
    """What the channel's queue carries of a claim."""
    return ClaimReference(
        subject=row.subject,
        playbook=row.playbook,
        slot=row.slot,
        step=row.step,
        action=row.action,
    )


def quarantined(row: SetAsideRow) -> Quarantined:
    """A record that a function without a Kafka client set aside."""
    return Quarantined(
        id=f"{row.topic}-{row.partition}-{row.offset}",
        source=row.source,
        component=row.component,
        reason=row.reason,
        detail=row.detail,
        record=row.record or None,
        key=row.key,
        at=row.at,
    )


_Fact = tuple[ChangeKind, str, str, str]
"""kind, subject to whom it matters, winner, loser."""


def _of_person(old: PersonRow | None, new: PersonRow) -> list[_Fact]:
    """A person without a row is its own subject, and has one alias: itself.

    A merge shows in both rows: the loser's names the subject that lost it, the winner's the one
    that gained the loser's aliases, each of which had been a person.
    """
    lost = new.fragment if old is None else old.subject
    if new.merged_into is not None:
        if old is not None and old.merged_into is not None:
            return []
        subjects = (lost, new.subject)
        return [(ChangeKind.PERSON_MERGED, s, new.merged_into, new.fragment) for s in subjects]
    before = {new.fragment, *map(fragment_of, () if old is None else old.aliases)}
    found = [
        (ChangeKind.PERSON_MERGED, new.subject, new.fragment, fragment)
        for fragment in map(fragment_of, new.aliases)
        if fragment not in before
    ]
    if new.subject != lost:
        subjects = (lost, new.subject)
        found += [(ChangeKind.PERSON_JOINED, s, new.subject, new.fragment) for s in subjects]
    return found


def _of_subject(old: SubjectRow | None, new: SubjectRow) -> list[_Fact]:
    if new.merged_into is not None:
        if old is not None and old.merged_into is not None:
            return []
        return [(ChangeKind.SUBJECT_MERGED, new.merged_into, new.merged_into, new.subject)]
    before = () if old is None else old.accounts
    return [
        (ChangeKind.ACCOUNT_ADOPTED, new.subject, new.subject, account)
        for account in new.accounts
        if account not in before
    ]


def _of_account(old: AccountRow | None, new: AccountRow) -> list[_Fact]:
    found: list[_Fact] = []
    if old is None or old.subject != new.subject:
        subjects = (new.subject,) if old is None else (old.subject, new.subject)
        found += [(ChangeKind.ACCOUNT_ADOPTED, s, new.subject, new.account) for s in subjects]
    before = () if old is None else old.fragments
    found += [
        (ChangeKind.ACCOUNT_NAMED, new.subject, new.account, fragment)
        for fragment in new.fragments
        if fragment not in before
    ]
    return found


MARK: Mapping[str, bytes] = {Header.REPLAY: b"1"}
"""The consequences of a replay start nothing (delivery rule 8)."""


def _record(topic: Topic, key: str, message: Message, *, replayed: bool = False) -> Outgoing:
    return Outgoing(topic, key, message.encode(), MARK if replayed else NO_HEADERS)
