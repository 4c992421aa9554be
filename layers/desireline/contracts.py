"""Every name that two parts of the system must agree on, written once.

CDK, SQL and code take them from here; `docs/contracts.md` is rendered from this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

SCHEMA_VERSION = 1

IDENTITY_SECRET = "identity"
"""The name of the secret that names fragments."""

EVENTS_LIMIT = 4_000
"""Events of one request, at most: Segment's largest batch."""


class Topic(StrEnum):
    """The Kafka topics."""

    WEBHOOKS_RAW = "webhooks.raw"
    EVENTS_RECEIVED = "events.received"
    EVENTS_RESOLVED = "events.resolved"
    IDENTITY_CHANGED = "identity.changed"
    JOURNEYS_SCORED = "journeys.scored"
    DECISIONS_MADE = "decisions.made"
    EVENTS_QUARANTINED = "events.quarantined"


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """What a topic promises: its key, its value, and how long and how wide it is kept."""

    key: str
    value: str
    use: str
    partitions_prod: int
    partitions_dev: int = 8
    retention: timedelta = timedelta(days=7)
    replication: int = 3
    min_insync_replicas: int = 2


RAW_RETENTION = timedelta(days=30)
"""Archived raw bodies, the only place with clear addresses, are kept as long as a repair may take.
Cases of quarantine expire with them."""

CASE_SECONDS = int(RAW_RETENTION.total_seconds())
"""How long a case, and the record that it was made from, is kept."""

DEAD_LETTER_RETENTION = timedelta(days=30)
"""The records that event source mappings gave up on, in the bucket of dead letters."""

MAX_MESSAGE_BYTES = 8_000_000
"""The largest batch that producers send and topics take: a raw body of 4 MB in base64 fits."""

TOPICS: dict[Topic, TopicSpec] = {
    Topic.WEBHOOKS_RAW: TopicSpec(
        key="source",
        value="events.RawWebhook",
        use="the request as received; what raw pointers mean; archived, kept short",
        partitions_prod=60,
    ),
    Topic.EVENTS_RECEIVED: TopicSpec(
        key="fragment",
        value="events.CanonicalEvent",
        use="one fragment, one partition; replay starts here",
        partitions_prod=120,
    ),
    Topic.EVENTS_RESOLVED: TopicSpec(
        key="subject",
        value="events.ResolvedEvent",
        use="event triggers, scoring",
        partitions_prod=120,
    ),
    Topic.IDENTITY_CHANGED: TopicSpec(
        key="surviving subject",
        value="events.IdentityChanged",
        use="rescore, re-key waits, map fragments in the warehouse",
        partitions_prod=24,
        partitions_dev=4,
    ),
    Topic.JOURNEYS_SCORED: TopicSpec(
        key="subject",
        value="events.JourneyScored",
        use="triggers of playbooks",
        partitions_prod=60,
    ),
    Topic.DECISIONS_MADE: TopicSpec(
        key="subject",
        value="events.DecisionMade",
        use="ledger, history, dashboard",
        partitions_prod=24,
        partitions_dev=4,
    ),
    Topic.EVENTS_QUARANTINED: TopicSpec(
        key="source",
        value="events.Quarantined",
        use="repair and replay",
        partitions_prod=6,
        partitions_dev=2,
    ),
}


class Table(StrEnum):
    """The DynamoDB tables. Each has a string partition key `pk` and a string sort key `sk`."""

    IDENTITY = "identity"
    STATES = "states"
    JOURNEYS = "journeys"
    INTERVENTIONS = "interventions"
    ADMISSION = "admission"
    SOURCES = "sources"
    QUARANTINE = "quarantine"


def table_name(deployment: str, table: Table) -> str:
    """Build the deployed name of a table, such as 'desireline-dev-states'."""
    return f"{deployment}-{table}"


TTL_ATTRIBUTE = "expires"


class Header(StrEnum):
    """Kafka headers that this system sets."""

    TRACE = "trace-id"
    RAW_ID = "raw-id"
    REDRIVE_ID = "redrive-id"
    REDRIVE_OF = "redrive-of"
    REDRIVE_COUNT = "redrive-count"
    REPLAY = "replay"


class Function(StrEnum):
    """The Lambda functions; the folder under `functions/` has the same name."""

    RECEIVE_WEBHOOK = "receive_webhook"
    RESOLVE_IDENTITY = "resolve_identity"
    SCORE_JOURNEY = "score_journey"
    START_INTERVENTIONS = "start_interventions"
    CHECK_PLAYBOOK = "check_playbook"
    DELIVER_ACTION = "deliver_action"
    PUBLISH_CHANGES = "publish_changes"
    ARCHIVE_HISTORY = "archive_history"
    RECEIVE_TOPIC = "receive_topic"
    PULL_EXPORTS = "pull_exports"
    INDEX_QUARANTINE = "index_quarantine"
    SERVE_QUARANTINE = "serve_quarantine"


class Component(StrEnum):
    """The parts of the system that put what they cannot handle into quarantine."""

    RECEIVE = "receive"
    RESOLVE = "resolve"
    SCORE = "score"
    INTERVENE = "intervene"


CONSUMED_TOPICS: dict[Function, tuple[Topic, ...]] = {
    Function.RESOLVE_IDENTITY: (Topic.EVENTS_RECEIVED,),
    Function.SCORE_JOURNEY: (Topic.EVENTS_RESOLVED, Topic.IDENTITY_CHANGED),
    Function.START_INTERVENTIONS: (Topic.EVENTS_RESOLVED, Topic.JOURNEYS_SCORED),
    Function.ARCHIVE_HISTORY: tuple(Topic),
    Function.INDEX_QUARANTINE: (Topic.EVENTS_QUARANTINED,),
}


def consumer_group(function: str, topic: str) -> str:
    """The explicit, stable consumer group of a mapping (delivery rule 17)."""
    return f"{function.replace('_', '-')}.{topic}"


READER_GROUP = "desireline-reader"
"""The group that tools read topics with. They assign partitions and commit nothing: Kafka wants a
name, no offset is ever kept under it."""


def parameter(deployment: str, *path: str) -> str:
    """The SSM parameter by which one stack tells another, say, the bootstrap address."""
    return "/".join(["", "desireline", deployment, *path])


METRICS_NAMESPACE = "Desireline"
STATE_MACHINE = "run-playbook"
PLAYBOOK_NAME_LIMIT = 40
EXECUTION_NAME_LIMIT = 80
