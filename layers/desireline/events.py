"""The messages of the topics: frozen models, to which versions only add fields (delivery rule 16).

All times are integers in epoch ms. `occurred_at` and `received_at` are journey time, and stamps are
wall time (delivery rule 13).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict

from desireline.contracts import SCHEMA_VERSION

Scalar = str | int | float | bool | None


class Message(BaseModel):
    """The base of all messages: immutable, and tolerant of fields that a newer version added.

    Validation errors omit the values, because logs must not contain personal data."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def encode(self) -> bytes:
        """Encode the message as compact JSON, without fields that are None."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a message that this version, an older one or a newer one has encoded.

        Raises pydantic.ValidationError for other bytes.
        """
        return cls.model_validate_json(data)


class AliasType(StrEnum):
    """Types of identifiers, strongest first."""

    USER = "user"
    BILLING = "billing"
    CRM = "crm"
    EMAIL = "email"
    ANONYMOUS = "anonymous"

    @property
    def strength(self) -> int:
        """The position in the order of strength. 0 is the strongest."""
        return _STRENGTHS[self]


_STRENGTHS = {alias_type: index for index, alias_type in enumerate(AliasType)}

UNIQUE_ALIASES = frozenset({AliasType.USER})
"""The types of which a person has at most one alias. Persons with different ones never merge."""


class Alias(Message):
    """An identifier of a person.

    fragment: a UUID v5 of 'type|value', whose namespace is derived from the deployment's secret.
    """

    type: AliasType
    value: str
    fragment: str


class AccountRole(StrEnum):
    """The relation of an event's person to an account that it names."""

    OWNER = "owner"
    MEMBER = "member"
    MENTION = "mention"


class Account(Message):
    """An account that an event names. key: 'group:…', 'crm:…' or 'cus:…'."""

    key: str
    role: AccountRole = AccountRole.MENTION


class Stamps(Message):
    """The time when each stage finished, wall time."""

    received: int | None = None
    resolved: int | None = None
    scored: int | None = None
    decided: int | None = None
    delivered: int | None = None


class RawPointer(Message):
    """The raw body of an event, in the topic `webhooks.raw` and in its archive.

    id: of the body. index: the position of the event's report in the body.
    """

    id: str
    index: int = 0


class Context(Message):
    """Circumstances of an event. Address and user agent are hashed with the salt of the day.

    earlier_*: hashes with the salt of the day before, for events in the first half hour of a day.
    They allow comparing events shortly before and after midnight."""

    ip_hash: str | None = None
    user_agent_hash: str | None = None
    earlier_ip_hash: str | None = None
    earlier_user_agent_hash: str | None = None
    path: str | None = None
    locale: str | None = None
    timezone: str | None = None


class CanonicalEvent(Message):
    """An event with the names of the tracking plan (topic events.received).

    aliases: strongest first, at least one; the first one's fragment is the record's key.
    accounts: strongest first, may be empty; the first one's key is part of the state row's key.
    timed: whether the sender gave the time; otherwise occurred_at is received_at.
    measures: integers to sum up, by name.
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
        """The fragment of the strongest alias, whose state row counts the event."""
        return self.aliases[0].fragment

    @property
    def account_key(self) -> str:
        """The account's part of the state row's key; '-' without an account."""
        return self.accounts[0].key if self.accounts else "-"


class ResolvedEvent(Message):
    """An event with its person and subject (topic events.resolved).

    repeated: the event was counted before. Consumers may process it again, because they read the
    state or claim by id.
    """

    event: CanonicalEvent
    person: str
    subject: str
    repeated: bool = False


class ChangeKind(StrEnum):
    """The kinds of changes of identities."""

    PERSON_MERGED = "person_merged"
    PERSON_JOINED = "person_joined"
    SUBJECT_MERGED = "subject_merged"
    ACCOUNT_ADOPTED = "account_adopted"
    ACCOUNT_NAMED = "account_named"


class IdentityChanged(Message):
    """A change of identities (topic identity.changed). subject: it gained or lost state rows.

    A change that affects several subjects has a message for each. Winner and loser by kind:

    PERSON_MERGED: persons. An alias without rows is a person, with its fragment as id.
    PERSON_JOINED: loser is the person, winner the subject that it joined.
    SUBJECT_MERGED: subjects.
    ACCOUNT_ADOPTED: loser is the account's key, winner the subject that adopted it.
    ACCOUNT_NAMED: loser is a fragment that named the account, winner the account's key.
    """

    id: str
    kind: ChangeKind
    subject: str
    winner: str
    loser: str
    at: int
    stamps: Stamps = Stamps()


class Tier(StrEnum):
    """Bands of the score: from 90, from 70, from 40, and below 40."""

    HOT = "hot"
    WARM = "warm"
    NURTURE = "nurture"
    AT_RISK = "at_risk"


class Stage(StrEnum):
    """Stages of a journey to a paid subscription."""

    AWARENESS = "awareness"
    EVALUATION = "evaluation"
    FIRST_ACTIONS = "first_actions"
    HABIT = "habit"
    READINESS = "readiness"
    AT_RISK = "at_risk"


class Lifecycle(StrEnum):
    """The subject's commercial status, from visitor to customer."""

    VISITOR = "visitor"
    LEAD = "lead"
    TRIAL = "trial"
    CUSTOMER = "customer"
    CHURNED = "churned"


class Reason(Message):
    """A behaviour that affects the score.

    value: of the feature; None if missing. effect: its contribution in log-odds, signed. text: the
    behaviour as a phrase.
    """

    feature: str
    value: float | None = None
    effect: float
    text: str


class Assessment(Message):
    """The result of model and rules for a subject.

    as_of: journey time, epoch ms. score: 0 to 100; None before a trial.
    """

    as_of: int
    score: int | None = None
    probability: float | None = None
    tier: Tier | None = None
    stage: Stage
    lifecycle: Lifecycle
    model_version: str


class Crossing(Message):
    """A change of level. kind: 'tier', 'stage' or 'lifecycle'. before, after: the levels."""

    kind: str
    before: str | None = None
    after: str | None = None


class JourneyScored(Message):
    """A changed assessment (topic journeys.scored). causes: ids of the events and changes."""

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
        """The entry id of the enrolments that these crossings start."""
        return f"{self.subject}+{self.version}"


class DecisionMade(Message):
    """A row of the ledger (topic decisions.made): a decision with its outcome and reason.

    at: journey time of the decision, epoch ms. outcome: an `Outcome` of desireline.rows.
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
    """A received request (topic webhooks.raw). body: in base64. headers: a selection.

    encoding: 'gzip' if receive compressed the body; a sender's own compression is in the headers.
    stamped: wall time of the arrival; records of older versions omit it, and their timestamp
    replaces it. call: the path after the source. withheld: the number of messages that receive
    removed, because their persons are suppressed or have refused consent.
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
        """Encode as `Message.encode` does, but with orjson.

        It takes a tenth of the time, because pydantic checks each character of a large body."""
        return orjson.dumps({name: v for name, v in self.__dict__.items() if v is not None})


class Quarantined(Message):
    """An event or a record that cannot be processed (topic events.quarantined).

    component: the part that could not process it. raw: the raw body, for an event of receive.
    record, key: for a record of a later component.
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
    """A message of a channel's queue: the key of a claim. Consumers read the claim's row."""

    subject: str
    playbook: str
    slot: str
    step: str
    action: str
