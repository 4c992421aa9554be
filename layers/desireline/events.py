"""What travels on the topics: frozen models, additive only (delivery rule 16).

All times are integers in epoch milliseconds. `occurred_at` and `received_at` are journey time;
the stamps are wall time (delivery rule 13).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict

from desireline.contracts import SCHEMA_VERSION

Scalar = str | int | float | bool | None


class Message(BaseModel):
    """Base of everything on a topic: immutable, tolerant of fields that a newer writer added. An
    error tells where, never what was there: it may end in a log."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def encode(self) -> bytes:
        """The message as compact JSON bytes; fields that are None are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote, or an older or newer version of it.

        Raises pydantic.ValidationError when the bytes are not such a message.
        """
        return cls.model_validate_json(data)


class AliasType(StrEnum):
    """Kinds of identifiers, strongest first: the order is the priority."""

    USER = "user"
    BILLING = "billing"
    CRM = "crm"
    EMAIL = "email"
    ANONYMOUS = "anonymous"

    @property
    def strength(self) -> int:
        """0 for the strongest."""
        return _STRENGTHS[self]


_STRENGTHS = {one: place for place, one in enumerate(AliasType)}

UNIQUE_ALIASES = frozenset({AliasType.USER})
"""A person has at most one of each of these: two different ones never merge."""


class Alias(Message):
    """One identifier of a person. `fragment` is uuid5(deployment's secret, 'type|value')."""

    type: AliasType
    value: str
    fragment: str


class AccountRole(StrEnum):
    """What an event says of the person and the account that it names."""

    OWNER = "owner"
    MEMBER = "member"
    MENTION = "mention"


class Account(Message):
    """An account that an event names; `key` is 'group:…', 'crm:…' or 'cus:…'."""

    key: str
    role: AccountRole = AccountRole.MENTION


class Stamps(Message):
    """When each stage had done its part, wall time."""

    received: int | None = None
    resolved: int | None = None
    scored: int | None = None
    decided: int | None = None
    delivered: int | None = None


class RawPointer(Message):
    """Where the raw body lies: the topic `webhooks.raw` and its archive, under this id."""

    id: str
    index: int = 0


class Context(Message):
    """Circumstances of an event. Address and user agent only as hashes, with the salt of the day of
    occurrence; the earlier ones, in a day's first half hour, with the salt of the day before, so
    that two events of one half hour can be compared over midnight."""

    ip_hash: str | None = None
    user_agent_hash: str | None = None
    earlier_ip_hash: str | None = None
    earlier_user_agent_hash: str | None = None
    path: str | None = None
    locale: str | None = None
    timezone: str | None = None


class CanonicalEvent(Message):
    """One event in the words of the tracking plan (topic events.received).

    aliases: strongest first, at least one; the first one's fragment is the record's key.
    accounts: strongest first, possibly none; the first one's key names the state row.
    timed: whether the sender gave the time; if not, occurred_at is received_at.
    measures: integers that the plan asks to be summed up, by name.
    """

    event_id: str
    schema_version: int = SCHEMA_VERSION
    name: str
    category: str
    source: str
    occurred_at: int
    received_at: int
    timed: bool = True
    aliases: tuple[Alias, ...]
    accounts: tuple[Account, ...] = ()
    traits: dict[str, Scalar] = {}
    properties: dict[str, Any] = {}
    measures: dict[str, int] = {}
    context: Context = Context()
    consent: dict[str, bool] = {}
    raw: RawPointer
    stamps: Stamps = Stamps()

    @property
    def fragment(self) -> str:
        """The fragment under which the event is stored: that of its strongest alias."""
        return self.aliases[0].fragment

    @property
    def account_key(self) -> str:
        """The account's part of the state row's key; a pure function of the event's own bytes."""
        return self.accounts[0].key if self.accounts else "-"


class ResolvedEvent(Message):
    """An event with the person and subject it belongs to (topic events.resolved).

    repeated: it had been counted before; consumers act on state or claim by id, so it is harmless.
    """

    event: CanonicalEvent
    person: str
    subject: str
    repeated: bool = False


class ChangeKind(StrEnum):
    """What happened to identities."""

    PERSON_MERGED = "person_merged"
    PERSON_JOINED = "person_joined"
    SUBJECT_MERGED = "subject_merged"
    ACCOUNT_ADOPTED = "account_adopted"
    ACCOUNT_NAMED = "account_named"


class IdentityChanged(Message):
    """A merge or adoption (topic identity.changed); `subject` has gained or lost state rows.

    Of one fact there is a message for each subject that it concerns.

    PERSON_MERGED: winner and loser are persons (an alias without rows is a person of its own, with
    the fragment as id). PERSON_JOINED: loser is the person, winner the subject it belongs to now.
    SUBJECT_MERGED: both are subjects. ACCOUNT_ADOPTED: loser is the account's key, winner its
    subject. ACCOUNT_NAMED: loser is a fragment that named the account, winner the account's key.
    """

    id: str
    kind: ChangeKind
    subject: str
    winner: str
    loser: str
    at: int
    stamps: Stamps = Stamps()


class Tier(StrEnum):
    """Score bands: at or above 90, 70, 40, and below."""

    HOT = "hot"
    WARM = "warm"
    NURTURE = "nurture"
    AT_RISK = "at_risk"


class Stage(StrEnum):
    """Stages of a trial's journey."""

    AWARENESS = "awareness"
    EVALUATION = "evaluation"
    FIRST_ACTIONS = "first_actions"
    HABIT = "habit"
    READINESS = "readiness"
    AT_RISK = "at_risk"


class Lifecycle(StrEnum):
    """Beyond the trial."""

    VISITOR = "visitor"
    LEAD = "lead"
    TRIAL = "trial"
    CUSTOMER = "customer"
    CHURNED = "churned"


class Reason(Message):
    """One behaviour that moved the score: margin contribution in log-odds, signed."""

    feature: str
    value: float | None = None
    effect: float
    text: str


class Assessment(Message):
    """What model and rules say of a subject at `as_of`. score: 0-100, None before a trial."""

    as_of: int
    score: int | None = None
    probability: float | None = None
    tier: Tier | None = None
    stage: Stage
    lifecycle: Lifecycle
    model_version: str


class Crossing(Message):
    """A change of level; `kind` is tier, stage or lifecycle. At or above the level is there."""

    kind: str
    before: str | None = None
    after: str | None = None


class JourneyScored(Message):
    """A changed assessment (topic journeys.scored). The crossing's id is subject + version."""

    subject: str
    version: int
    current: Assessment
    previous: Assessment | None = None
    crossings: tuple[Crossing, ...] = ()
    reasons: tuple[Reason, ...] = ()
    causes: tuple[str, ...] = ()
    stamps: Stamps = Stamps()

    @property
    def id(self) -> str:
        """The entry id of enrolments that this crossing starts."""
        return f"{self.subject}+{self.version}"


class DecisionMade(Message):
    """One ledger row (topic decisions.made): what was decided, sent or not, and why.

    at: journey time of the decision. outcome: an `Outcome` of desireline.rows.
    """

    subject: str
    playbook: str
    playbook_version: int
    enrolment: str
    slot: str
    step: str
    action: str
    channel: str | None = None
    outcome: str
    reason: str
    gate: str | None = None
    evidence: dict[str, Any] = {}
    at: int
    stamps: Stamps = Stamps()


class RawWebhook(Message):
    """A request as received (topic webhooks.raw). `body` is base64; only headers that matter.

    encoding: 'gzip' where the body was packed here before base64; what the sender itself had
    packed says so in the headers. stamped: wall time of its arrival; records of older versions have
    none, their own timestamp stands for it. call: what followed the source in the path. withheld:
    how many messages were taken out because their persons do not want them taken.
    """

    id: str
    source: str
    received_at: int
    headers: dict[str, str]
    body: str
    remote_address: str | None = None
    encoding: str | None = None
    stamped: int | None = None
    call: str | None = None
    withheld: int | None = None

    def encode(self) -> bytes:
        """As every message, but by orjson: pydantic looks at each character of a large body, which
        takes ten times as long."""
        return orjson.dumps({name: v for name, v in self.__dict__.items() if v is not None})


class Quarantined(Message):
    """Something that could not be taken further (topic events.quarantined).

    component: which part could not. raw: of an event that its sender's body holds. record, key: of
    a record of a later component.
    """

    id: str
    source: str
    component: str
    reason: str
    detail: str = ""
    event_name: str | None = None
    plan_version: str | None = None
    raw: RawPointer | None = None
    record: str | None = None
    key: str | None = None
    at: int
    stamps: Stamps = Stamps()


class ClaimReference(Message):
    """What a channel's queue carries: the key of a claim. The row itself is the truth."""

    subject: str
    playbook: str
    slot: str
    step: str
    action: str
