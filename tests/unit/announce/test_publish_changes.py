"""What the tables' streams announce: each mapping, and the use case with its failures (rule 1)."""

from __future__ import annotations

from typing import Any

import pytest

from desireline.announce.publish_changes import (
    PublishChanges,
    Queued,
    announcements,
    identity_changes,
    journey_scored,
)
from desireline.contracts import Topic
from desireline.errors import UnavailableError
from desireline.events import (
    Assessment,
    ClaimReference,
    DecisionMade,
    IdentityChanged,
    JourneyScored,
    Lifecycle,
    Quarantined,
    Reason,
    Stage,
    Stamps,
    Tier,
)
from desireline.records import Outgoing
from desireline.rows import (
    AccountRow,
    AliasRow,
    Change,
    ClaimRow,
    ClaimState,
    DecisionRow,
    EnrolmentRow,
    JourneyRow,
    Outcome,
    PersonRow,
    Row,
    SetAsideRow,
    SubjectRow,
)

Facts = list[tuple[str, str, str, str]]


def facts(old: Row | None, new: Row) -> Facts:
    return [(c.kind, c.subject, c.winner, c.loser) for c in identity_changes(old, new, 5)]


def person(name: str, subject: str, *aliases: str, **fields: Any) -> PersonRow:
    return PersonRow(fragment=name, subject=subject, aliases=aliases, **fields)


def subject(name: str, *accounts: str, **fields: Any) -> SubjectRow:
    return SubjectRow(subject=name, accounts=accounts, **fields)


def account(name: str, of: str, *fragments: str) -> AccountRow:
    return AccountRow(account=name, subject=of, fragments=fragments)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            None,
            person("p", "p", "user#p", "anonymous#q"),
            [("person_merged", "p", "p", "q")],
            id="a first link: the alias was a person, whose rows the subject gains",
        ),
        pytest.param(
            None,
            person("q", "p", merged_into="p"),
            [("person_merged", "q", "p", "q"), ("person_merged", "p", "p", "q")],
            id="its loser without rows: its own subject loses, the winner's gains",
        ),
        pytest.param(
            person("q", "t", "user#q", "email#e"),
            person("q", "t", merged_into="p"),
            [("person_merged", "t", "p", "q")],
            id="a loser with a subject: that subject loses it",
        ),
        pytest.param(
            person("q", "t", merged_into="p"),
            person("q", "t", merged_into="r"),
            [],
            id="a tombstone that is shortened says nothing new",
        ),
        pytest.param(
            person("p", "p", "user#p"),
            person("p", "s", "user#p"),
            [("person_joined", "p", "s", "p"), ("person_joined", "s", "s", "p")],
            id="a person changes subject: both are announced",
        ),
        pytest.param(
            person("p", "s", "user#p"),
            person("p", "s", "user#p", ambiguous=True),
            [],
            id="a mark on a person moves no rows",
        ),
        pytest.param(
            subject("t"),
            subject("t", merged_into="s"),
            [("subject_merged", "s", "s", "t")],
            id="a merged subject",
        ),
        pytest.param(
            subject("t", merged_into="s"), subject("t", merged_into="s"), [], id="an old tombstone"
        ),
        pytest.param(
            subject("s", "group:a"),
            subject("s", "group:a", "cus:b"),
            [("account_adopted", "s", "s", "cus:b")],
            id="an adopted account",
        ),
        pytest.param(
            subject("s", "group:a"),
            subject("s", "group:a", holdout=True),
            [],
            id="an assigned holdout moves no rows",
        ),
        pytest.param(
            None,
            account("group:a", "s", "f"),
            [("account_adopted", "s", "s", "group:a"), ("account_named", "s", "group:a", "f")],
            id="a new account",
        ),
        pytest.param(
            account("group:a", "s", "f"),
            account("group:a", "s", "f", "g"),
            [("account_named", "s", "group:a", "g")],
            id="one more fragment names the account",
        ),
        pytest.param(
            account("group:a", "s"),
            account("group:a", "t"),
            [("account_adopted", "s", "t", "group:a"), ("account_adopted", "t", "t", "group:a")],
            id="an account that moves: both subjects are announced",
        ),
        pytest.param(None, AliasRow(type="user", fragment="f", root="p"), [], id="an alias"),
    ],
)
def test_every_subject_that_gained_or_lost_rows_is_announced(
    old: Row | None, new: Row, expected: Facts
) -> None:
    assert facts(old, new) == expected


def test_a_fact_that_two_rows_tell_has_one_id() -> None:
    winner = identity_changes(None, person("p", "p", "user#p", "anonymous#q"), 5)
    loser = identity_changes(None, person("q", "p", merged_into="p"), 6)
    assert winner[0].id == loser[1].id
    assert len({change.id for change in (*winner, *loser)}) == 2


def assessment(tier: Tier, stage: Stage = Stage.HABIT) -> Assessment:
    return Assessment(
        as_of=9,
        score=50,
        probability=0.5,
        tier=tier,
        stage=stage,
        lifecycle=Lifecycle.TRIAL,
        model_version="1",
    )


def journey(version: int, current: Assessment) -> JourneyRow:
    reason = Reason(feature="f", value=None, effect=0.1, text="did f")
    return JourneyRow(
        version=version,
        subject="s",
        current=current,
        reasons=(reason,),
        causes=("e1",),
        stamps=Stamps(scored=4),
    )


def test_a_changed_journey_tells_what_it_crosses() -> None:
    # Given a journey that gets warm and changes its stage
    old = journey(1, assessment(Tier.NURTURE))
    new = journey(2, assessment(Tier.WARM, Stage.READINESS))
    # When it is announced
    (record,) = announcements(old, new, 5)
    # Then the record is under the subject, and says before and after
    assert isinstance(record, Outgoing)
    assert (record.topic, record.key) == (Topic.JOURNEYS_SCORED, "s")
    scored = JourneyScored.decode(record.value)
    assert scored.id == "s+2"
    assert scored.previous == old.current
    assert [(c.kind, c.before, c.after) for c in scored.crossings] == [
        ("tier", "nurture", "warm"),
        ("stage", "habit", "readiness"),
    ]
    assert (scored.reasons, scored.causes, scored.stamps) == (new.reasons, ("e1",), new.stamps)


def test_a_first_score_crosses_from_nothing() -> None:
    scored = journey_scored(None, journey(1, assessment(Tier.HOT)))
    assert [(c.kind, c.before, c.after) for c in scored.crossings] == [
        ("tier", None, "hot"),
        ("stage", None, "habit"),
        ("lifecycle", None, "trial"),
    ]
    assert JourneyScored.decode(scored.encode()) == scored


def decision() -> DecisionRow:
    return DecisionRow(
        subject="s",
        playbook="p",
        playbook_version=3,
        enrolment="e",
        slot="once",
        step="a",
        action="b",
        phase="gate",
        channel="email",
        outcome=Outcome.SUPPRESSED,
        reason="channel_not_available",
        gate="channel",
        evidence={"integration_connected": None, "due": 7},
        at=8,
        stamps=Stamps(decided=9),
    )


def test_a_new_line_of_the_ledger_is_announced_whole() -> None:
    row = decision()
    (record,) = announcements(None, row, 5)
    assert isinstance(record, Outgoing)
    assert (record.topic, record.key) == (Topic.DECISIONS_MADE, "s")
    made = DecisionMade.decode(record.value)
    for field in DecisionMade.model_fields:
        assert getattr(made, field) == getattr(row, field), field
    assert list(announcements(row, row, 5)) == []


def claim(state: ClaimState = ClaimState.CLAIMED) -> ClaimRow:
    return ClaimRow(
        subject="s",
        playbook="p",
        playbook_version=1,
        slot="once",
        step="a",
        action="b",
        enrolment="e",
        channel="csm_alert",
        state=state,
        title="secret",
        body="secret",
        decided_at=1,
        not_after=2,
    )


def test_a_new_claim_goes_to_its_channels_queue_by_its_key_alone() -> None:
    (queued,) = announcements(None, claim(), 5)
    reference = ClaimReference(subject="s", playbook="p", slot="once", step="a", action="b")
    assert queued == Queued("csm_alert", reference)


def test_a_claim_that_goes_on_is_not_queued_again() -> None:
    for state in ClaimState:
        assert list(announcements(claim(), claim(state), 5)) == []
        assert list(announcements(claim(ClaimState.SENDING), claim(state), 5)) == []


def test_a_quarantined_record_is_announced() -> None:
    row = SetAsideRow(
        topic="t", partition=1, offset=2, component="intervene", source="x", reason="bad", at=3
    )
    (record,) = announcements(None, row, 5)
    assert isinstance(record, Outgoing)
    assert (record.topic, record.key) == (Topic.EVENTS_QUARANTINED, "x")
    assert Quarantined.decode(record.value).id == "t-1-2"


def test_removals_and_what_nobody_asks_for_say_nothing() -> None:
    enrolment = EnrolmentRow(
        enrolment="e",
        subject="s",
        playbook="p",
        playbook_version=1,
        slot="once",
        entry_id="x",
        entry_at=1,
    )
    assert list(announcements(decision(), None, 5)) == []
    assert list(announcements(None, enrolment, 5)) == []


# --- the use case


class Topics:
    """Kafka: nothing is there before it is flushed."""

    def __init__(self) -> None:
        self.pending: list[Outgoing] = []
        self.there: list[Outgoing] = []
        self.failing = False

    def produce(self, record: Outgoing) -> None:
        self.pending.append(record)

    def flush(self, timeout: float) -> None:
        if self.failing:
            raise UnavailableError("no broker")
        self.there += self.pending
        self.pending = []


class Messages:
    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.failing = False

    def put(self, body: str) -> None:
        if self.failing:
            raise UnavailableError("no queue")
        self.bodies.append(body)


class Fixed:
    def now(self) -> int:
        return 5


class Uncounted:
    def count(self, name: str, value: int = 1, **dimensions: str) -> None: ...


def publisher(topics: Topics, messages: Messages) -> PublishChanges:
    return PublishChanges(
        producer=topics,
        queues={"csm_alert": messages},
        wall=Fixed(),
        metrics=Uncounted(),
    )


CHANGES = [
    Change("1", None, decision()),
    Change("2", None, claim()),
    Change("3", None, decision()),
]


def test_a_batch_is_announced_and_flushed_before_it_is_done() -> None:
    topics, messages = Topics(), Messages()
    assert publisher(topics, messages)(CHANGES) is None
    assert len(topics.there) == 2
    reference = ClaimReference.decode(messages.bodies[0].encode())
    assert reference.action == "b"


def test_nothing_is_done_when_kafka_does_not_take_it() -> None:
    topics, messages = Topics(), Messages()
    topics.failing = True
    assert publisher(topics, messages)(CHANGES) == "1"


def test_a_queue_that_fails_has_the_stream_taken_up_again_from_there() -> None:
    topics, messages = Topics(), Messages()
    messages.failing = True
    assert publisher(topics, messages)(CHANGES) == "2"
    assert len(topics.there) == 1, "what came before it is done"


def test_a_redelivered_change_carries_the_same_ids() -> None:
    topics, messages = Topics(), Messages()
    change = Change("9", None, person("q", "p", merged_into="p"))
    publish = publisher(topics, messages)
    publish([change])
    publish([change])
    ids = [IdentityChanged.decode(record.value).id for record in topics.there]
    assert ids[:2] == ids[2:]
