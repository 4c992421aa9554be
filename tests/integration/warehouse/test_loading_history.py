"""From a record to a typed row: the archive's files, the repository's own pipes, the tables."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from desireline.contracts import Topic
from desireline.events import (
    Alias,
    AliasType,
    Assessment,
    CanonicalEvent,
    ChangeKind,
    DecisionMade,
    IdentityChanged,
    JourneyScored,
    Lifecycle,
    Message,
    Quarantined,
    RawPointer,
    RawWebhook,
    ResolvedEvent,
    Stage,
    Tier,
)
from desireline.records import Record
from desireline_local.warehouse.migrate import MIGRATIONS
from desireline_operate.warehouse.connection import rows
from tests.integration.warehouse.conftest import BUCKET, Archive, Server

_offsets: Iterator[int] = itertools.count(1)
AT = 1_772_409_599_999
AT_TIME = datetime(2026, 3, 1, 23, 59, 59, 999_000)
BEFORE = AT - 86_400_000 - 1
BEFORE_TIME = datetime(2026, 2, 28, 23, 59, 59, 998_000)

EVENT = CanonicalEvent(
    event_id="ev-1",
    name="trial_signup",
    category="product",
    source="segment",
    occurred_at=BEFORE,
    received_at=AT,
    aliases=(
        Alias(type=AliasType.USER, value="u", fragment="f-1"),
        Alias(type=AliasType.EMAIL, value="é@x", fragment="f-2"),
    ),
    properties={"note": 'it\'s "quoted" \\ and\nbroken', "n": 1.5},
    raw=RawPointer(id="r"),
)
RESOLVED = ResolvedEvent(event=EVENT, person="p-1", subject="s-1", repeated=True)
SCORED = JourneyScored(
    subject="s-1",
    version=4,
    current=Assessment(
        as_of=AT,
        score=91,
        probability=0.9,
        tier=Tier.HOT,
        stage=Stage.HABIT,
        lifecycle=Lifecycle.TRIAL,
        model_version="m-1",
    ),
)
VISITOR = JourneyScored(
    subject="s-2",
    version=1,
    current=Assessment(
        as_of=BEFORE, stage=Stage.AWARENESS, lifecycle=Lifecycle.VISITOR, model_version="m-1"
    ),
)
DECISION = DecisionMade(
    subject="s-1",
    playbook="p",
    playbook_version=1,
    enrolment="e",
    slot="once",
    step="st",
    action="a",
    outcome="claimed",
    reason="due",
    at=BEFORE,
)

CASES: list[tuple[Topic, Message, str, tuple[Any, ...]]] = [
    (
        Topic.WEBHOOKS_RAW,
        RawWebhook(id="r-1", source="stripe", received_at=AT, headers={}, body="e30="),
        "raw_id, source, received_at",
        ("r-1", "stripe", AT_TIME),
    ),
    (
        Topic.EVENTS_RECEIVED,
        EVENT,
        "event_id, name, source, fragment, occurred_at, received_at, schema_version",
        ("ev-1", "trial_signup", "segment", "f-1", BEFORE_TIME, AT_TIME, 1),
    ),
    (
        Topic.EVENTS_RESOLVED,
        RESOLVED,
        "event_id, name, fragment, person, subject, occurred_at, received_at, repeated,"
        " schema_version",
        ("ev-1", "trial_signup", "f-1", "p-1", "s-1", BEFORE_TIME, AT_TIME, True, 1),
    ),
    (
        Topic.IDENTITY_CHANGED,
        IdentityChanged(
            id="c-1", kind=ChangeKind.PERSON_JOINED, subject="s", winner="w", loser="l", at=AT
        ),
        "change_id, kind, subject, winner, loser, changed_at",
        ("c-1", "person_joined", "s", "w", "l", AT_TIME),
    ),
    (
        Topic.JOURNEYS_SCORED,
        SCORED,
        "subject, version, score, tier, stage, lifecycle, as_of, model_version",
        ("s-1", 4, 91, "hot", "habit", "trial", AT_TIME, "m-1"),
    ),
    (
        Topic.JOURNEYS_SCORED,
        VISITOR,
        "subject, version, score, tier, stage, lifecycle, as_of, model_version",
        ("s-2", 1, None, None, "awareness", "visitor", BEFORE_TIME, "m-1"),
    ),
    (
        Topic.DECISIONS_MADE,
        DECISION,
        "subject, playbook, enrolment, step, action, outcome, reason, decided_at",
        ("s-1", "p", "e", "st", "a", "claimed", "due", BEFORE_TIME),
    ),
    (
        Topic.EVENTS_QUARANTINED,
        Quarantined(id="q-1", source="segment", component="receive", reason="no_name", at=AT),
        "quarantine_id, source, component, reason, event_name, quarantined_at",
        ("q-1", "segment", "receive", "no_name", None, AT_TIME),
    ),
]


def record(topic: Topic, value: bytes | None, **given: Any) -> Record:
    values = {"partition": 3, "offset": next(_offsets), "timestamp": AT, "key": b"k", **given}
    return Record(topic=topic, value=value, **values)


def table(topic: Topic) -> str:
    return topic.replace(".", "_")


@pytest.mark.parametrize(("topic", "message", "columns", "expected"), CASES)
def test_a_message_lands_in_typed_columns(
    archive: Archive, topic: Topic, message: Message, columns: str, expected: tuple[Any, ...]
) -> None:
    sent = record(topic, message.encode())
    key = archive.write(sent)
    began = datetime.now(UTC).replace(tzinfo=None)

    load = archive.load(key)

    assert (load.status, load.rows, load.error) == ("LOADED", 1, None)
    name = table(topic)
    assert archive.loaded(name, key, columns) == [expected]
    places = "topic_partition, topic_offset, record_at, source_row"
    assert archive.loaded(name, key, places) == [(3, sent.offset, AT_TIME, 1)]
    ((payload, loaded_at),) = archive.loaded(name, key, "payload, loaded_at")
    assert json.loads(payload) == json.loads(message.encode())
    assert began <= loaded_at <= datetime.now(UTC).replace(tzinfo=None)


def test_every_topic_is_among_the_messages() -> None:
    assert {case[0] for case in CASES} == set(Topic)


def test_every_topic_has_a_table_a_stage_and_a_pipe(archive: Archive, warehouse: Any) -> None:
    expected = {table(topic) for topic in Topic}
    found = rows(
        warehouse,
        "select lower(table_name) from information_schema.tables where table_schema = 'RAW'"
        " and table_type = 'BASE TABLE'",
    )
    own = {"load_history", "snowpipe_batch"}
    assert {row[0] for row in found} - own == expected
    assert {pipe.name for pipe in archive.pipes} == {
        f"DESIRELINE.RAW.{name.upper()}_PIPE" for name in expected
    }
    for pipe in archive.pipes:
        name = pipe.table.rpartition(".")[2].lower()
        assert pipe.stage.rpartition(".")[2] == f"{name}_stage"
        assert pipe.name.rpartition(".")[2] == f"{name}_pipe".upper()
    stages = (MIGRATIONS / "V1.0.1__stages.sql").read_text()
    prefixes = re.findall(r"archive_url \}\}/([\w.]+)/v1/'", stages)
    assert sorted(prefixes) == sorted(Topic)


def test_lines_are_numbered_rows_in_order(archive: Archive) -> None:
    values = [EVENT.model_copy(update={"event_id": f"ev-{n}"}).encode() for n in range(50)]
    key = archive.write(*(record(Topic.EVENTS_RECEIVED, value) for value in values))
    archive.load(key)
    found = archive.loaded("events_received", key, "source_row, event_id")
    assert found == [(n + 1, f"ev-{n}") for n in range(50)]


def test_a_file_is_loaded_once(archive: Archive) -> None:
    """Given a batch that the archive gets again, when its file is announced again, no new row."""
    sent = record(Topic.EVENTS_RECEIVED, EVENT.encode())
    key = archive.write(sent)
    assert archive.load(key).status == "LOADED"

    assert archive.write(sent) == key
    archive.s3.put_object(Bucket=BUCKET, Key=key, Body=b"other bytes under the name")

    assert archive.load(key).status == "SKIPPED"
    assert len(archive.loaded("events_received", key, "event_id")) == 1
    assert len(archive.history(key)) == 1


@pytest.mark.parametrize("bad", [b"{", b'{"payload":'])
def test_a_bad_line_skips_the_file_and_is_told(archive: Archive, unique: str, bad: bytes) -> None:
    good = b'{"partition":0,"offset":1,"timestamp":1,"payload":{}}'
    key = f"events.received/v1/2026/03/01/23/{unique}.ndjson.gz"
    body = gzip.compress(b"\n".join([good, good, bad, good]))
    archive.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    load = archive.load(key)

    assert load.status == "FAILED"
    assert archive.loaded("events_received", key, "event_id") == []
    ((status, count, error),) = archive.history(key)
    assert (status, count) == ("FAILED", 0)
    assert error.startswith("line 3:")


def test_a_repaired_file_is_loaded(archive: Archive, unique: str) -> None:
    key = f"events.received/v1/2026/03/01/23/{unique}.ndjson.gz"
    archive.s3.put_object(Bucket=BUCKET, Key=key, Body=b"no gzip")
    assert archive.load(key).status == "FAILED"
    good = b'{"partition":0,"offset":1,"timestamp":1,"payload":{"event_id":"e"}}'
    archive.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(good))
    assert archive.load(key).status == "LOADED"
    assert archive.loaded("events_received", key, "event_id") == [("e",)]


def test_a_value_that_does_not_fit_its_column_skips_the_file(archive: Archive, unique: str) -> None:
    key = f"events.received/v1/2026/03/01/23/{unique}.ndjson.gz"
    line = b'{"partition":0,"offset":1,"timestamp":1,"payload":{"occurred_at":"yesterday"}}'
    archive.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(line))
    assert archive.load(key).status == "FAILED"
    assert archive.loaded("events_received", key, "event_id") == []


def test_no_text_is_too_long_for_its_column() -> None:
    """Snowflake refuses it, and the pipe skips all that is in the file; the stand-in knows no
    lengths."""
    tables = (MIGRATIONS / "V1.0.0__raw_tables.sql").read_text()
    assert "varchar" in tables
    assert re.findall(r"\w+ varchar\(\d+\)", tables) == []


def test_what_no_pipe_reads_is_left_alone(archive: Archive) -> None:
    assert archive.load("somewhere/else.gz").status == "SKIPPED"


def test_unreadable_bytes_are_kept_in_the_payload(archive: Archive) -> None:
    key = archive.write(record(Topic.EVENTS_RECEIVED, b"\xff no json"))
    assert archive.load(key).status == "LOADED"
    ((event_id, payload),) = archive.loaded("events_received", key, "event_id, payload")
    assert event_id is None
    assert json.loads(payload) == {"unreadable": "/yBubyBqc29u"}


def test_migrations_run_again_change_nothing(server: Server, warehouse: Any) -> None:
    query = "select script, status, checksum from schemachange.change_history order by script"
    before = rows(warehouse, query)
    server.migrate("second")
    assert rows(warehouse, query) == before
    scripts = {path.name for path in MIGRATIONS.glob("*.sql")}
    assert {row[0] for row in before} == scripts
    assert {row[1] for row in before} == {"Success"}


def test_merged_subjects_lead_to_the_one_that_is_left(
    archive: Archive, warehouse: Any, unique: str
) -> None:
    """a -> b -> c -> d, told in any order and twice, beside a merge of persons."""
    merged, person = ChangeKind.SUBJECT_MERGED, ChangeKind.PERSON_MERGED
    told = [(merged, "cd"), (merged, "ab"), (merged, "bc"), (merged, "ab"), (merged, "xd")]
    changes = [
        IdentityChanged(
            id=f"{kind}{pair}",
            kind=kind,
            subject="s",
            loser=f"{unique}{pair[0]}",
            winner=f"{unique}{pair[1]}",
            at=AT,
        )
        for kind, pair in [*told, (person, "dz")]
    ]
    records = [record(Topic.IDENTITY_CHANGED, change.encode()) for change in changes]
    assert archive.load(archive.write(*records)).rows == 6

    found = rows(
        warehouse,
        "select subject, current_subject from raw.current_subjects where startswith(subject, %s)"
        " order by subject",
        (unique,),
    )

    assert found == [(f"{unique}{loser}", f"{unique}d") for loser in "abcx"]
