"""Each format, by a sample as its sender documents it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from desireline.events import AccountRole, AliasType
from desireline.receive.mapping.canonical import event_id
from desireline.receive.senders import segment
from desireline_operate.import_history.files import Container, FileError, Format, inspect_file
from desireline_operate.import_history.formats import (
    FileOptions,
    MappingError,
    SourceSpec,
    read_mapping,
)
from tests.worlds.history_files import PLAN, gzipped, imported, ndjson, parquet, table
from tests.worlds.history_samples import CRM, MIXPANEL, OURS, SEGMENT, SEGMENT_ROW, ga4

AT = 1_600_000_000_000
"""2020-09-13T12:26:40Z."""

# segment.com/docs/connections/spec/common

# segment.com/docs/connections/storage/warehouses/schema: a row of trial_started

# docs.mixpanel.com/reference/raw-event-export


def typed(row: dict[str, Any]) -> dict[str, Any]:
    """The same row as Parquet has it: integers are integers, values have all their kinds."""

    def value(given: dict[str, Any]) -> dict[str, Any]:
        return {
            "string_value": given.get("string_value"),
            "int_value": int(given["int_value"]) if "int_value" in given else None,
            "float_value": None,
            "double_value": given.get("double_value"),
        }

    return {
        **row,
        "event_timestamp": int(row["event_timestamp"]),
        "event_bundle_sequence_id": int(row["event_bundle_sequence_id"]),
        "event_params": [
            {"key": one["key"], "value": value(one["value"])} for one in row["event_params"]
        ],
    }


def test_a_segment_archive_gives_the_event_that_its_webhook_gave(tmp_path: Path) -> None:
    """Given a line of Segment's archive, gzipped, when it is imported, then id, fragment, time,
    account and hashes are those of the webhook, so that the event counts once."""
    file = gzipped(tmp_path / "archive.gz", [SEGMENT])

    (event,), done = imported(file)

    assert event.event_id == event_id("segment", "022bb90c-bbac-11e4-8dfc-aa07a5b093db")
    assert (event.name, event.source, event.occurred_at) == ("trial_signup", "segment", AT)
    assert [a.type for a in event.aliases] == [AliasType.USER, AliasType.ANONYMOUS]
    assert [(a.key, a.role) for a in event.accounts] == [("group:g1", AccountRole.OWNER)]
    assert event.context.ip_hash and event.properties == {"plan": "trial"}
    assert (event.raw.id, event.raw.index) == ("import-x", 1)
    assert not done.rejects


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_a_row_of_segments_warehouse_is_the_call_that_it_was(tmp_path: Path, kind: str) -> None:
    """Given the same event from the archive and from the warehouse, then they are one event."""
    write = {"json": ndjson, "csv": table, "parquet": parquet}[kind]
    row: dict[str, Any] = dict(SEGMENT_ROW)
    if kind == "parquet":
        for name in ("original_timestamp", "sent_at", "received_at", "timestamp", "uuid_ts"):
            row[name] = datetime.fromisoformat(row[name].removesuffix(" UTC")).replace(tzinfo=UTC)
    file = write(tmp_path / f"trial_started.{kind}", [row])
    assert inspect_file(file).format is Format.SEGMENT_WAREHOUSE

    ((event,), done), ((called,), _) = (
        imported(file),
        imported(ndjson(tmp_path / "archive.ndjson", [SEGMENT])),
    )

    assert not done.rejects
    assert event.model_copy(update={"raw": called.raw}) == called


def test_the_other_tables_of_segments_warehouse(tmp_path: Path) -> None:
    common = {
        "received_at": "2020-09-13T12:26:41Z",
        "sent_at": "2020-09-13T12:26:41Z",
        "timestamp": "2020-09-13T12:26:40Z",
        "user_id": "u1",
    }
    rows = {
        "identifies": {"id": "1", "email": "ada@acme.com", "name": "Ada", **common},
        "groups": {"id": "2", "group_id": "g1", "employees": 12, "role": "owner", **common},
        "pages": {"id": "3", "path": "/pricing", **common},
    }
    found = {}
    for name, row in rows.items():
        spec = SourceSpec(format=Format.SEGMENT_WAREHOUSE, table=name)
        ((event,), _) = imported(ndjson(tmp_path / f"{name}.json", [row]), spec)
        found[name] = event

    assert found["identifies"].traits["email"] == "ada@acme.com"
    assert found["groups"].name == "account_joined"
    assert found["groups"].accounts[0].role is AccountRole.OWNER
    assert found["pages"].name == "pricing_page_viewed"


def test_mixpanels_raw_export_in_the_projects_zone(tmp_path: Path) -> None:
    file = ndjson(tmp_path / "export.ndjson", [MIXPANEL])
    assert inspect_file(file).format is Format.MIXPANEL

    (event,), _ = imported(file, zone="America/New_York", account_property="company")

    assert (event.name, event.source) == ("logged_in", "mixpanel_export")
    assert event.occurred_at == AT + 4 * 3_600_000
    assert event.accounts[0].key == "group:acme"
    assert event.aliases[0].value == "ada"


def test_ga4_is_the_same_in_json_and_in_parquet(tmp_path: Path) -> None:
    """Given a row of GA4's export in both forms, then it is one event, with path, parameters and
    the microsecond's time."""
    rows = [ga4(), ga4(event_name="login", user_id="ada")]
    files = (
        ndjson(tmp_path / "events.json", rows),
        parquet(tmp_path / "events.parquet", [typed({"user_id": None, **row}) for row in rows]),
    )
    assert [inspect_file(file).format for file in files] == [Format.GA4, Format.GA4]

    (told, _), (typed_ones, _) = (imported(file, account_property="company_id") for file in files)

    assert told == typed_ones
    view, login = told
    assert (view.name, view.occurred_at) == ("pricing_page_viewed", 1_600_000_000_123)
    assert view.properties == {"path": "/pricing", "visit_number": 3, "scroll_depth": 90.5}
    assert view.aliases[0].type is AliasType.ANONYMOUS
    assert view.accounts[0].key == "group:acme"
    assert (login.name, login.aliases[0].value) == ("logged_in", "ada")
    assert view.event_id != login.event_id


def test_what_ga4_collects_by_itself_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [ga4(), ga4(event_name="scroll"), ga4(event_name="scroll"), ga4(event_name="odd")]

    events, done = imported(ndjson(tmp_path / "events.json", rows))

    assert len(events) == 1
    assert done.left_out == {"scroll": 2}
    assert [(one.line, one.reason) for one in done.rejects] == [(4, "unmapped")]


def test_a_table_with_our_own_names_needs_only_the_shipped_mapping(tmp_path: Path) -> None:
    """Given CSV with identifiers that begin with zeros and a number, then identifiers are texts,
    the number is one, and a comma in quotes parts nothing."""
    path = PLAN_FOLDER / "senders" / "csv.yaml"
    words, file = read_mapping(path, PLAN)
    spec = SourceSpec(format=Format.MAPPED, mapping=words, file=file)

    (event,), done = imported(table(tmp_path / "events.csv", [OURS]), spec)

    assert not done.rejects
    assert event.event_id == event_id("csv", "007")
    assert [a.value for a in event.aliases] == ["042"]
    assert event.properties == {"feature_name": "board, kanban", "engagement_depth": 3}
    assert event.accounts[0].key == "group:9"


PLAN_FOLDER = Path(segment.__file__).parents[2] / "resources" / "tracking_plan"


def test_a_mapping_file_says_how_to_read_any_table(tmp_path: Path) -> None:
    """Given German CSV without ids, when a mapping names its columns, then times are in its zone,
    addresses identify as it says, and equal rows are one event."""
    mapping = tmp_path / "old_crm.yaml"
    mapping.write_text(CRM)
    words, told = read_mapping(mapping, PLAN)
    file = tmp_path / "deals.csv"
    file.write_text(
        "What;When;Mail;Contact;Company;Amount\n"
        "Won;13.09.2020 14:26;ada@acme.com;77;acme;1200.50\n"
        "Won;13.09.2020 14:26;ada@acme.com;77;acme;1200.50\n"
        "Won;2020-09-13;ada@acme.com;77;acme;5\n"
    )
    spec = SourceSpec(format=Format.MAPPED, mapping=words, file=told)

    events, done = imported(file, spec)

    assert events[0].occurred_at == AT - 40_000
    assert {a.type for a in events[0].aliases} == {AliasType.CRM, AliasType.EMAIL}
    assert events[0].properties == {"amount": 1200.5, "currency": "EUR"}
    assert events[0].event_id == events[1].event_id
    assert [(one.line, one.reason) for one in done.rejects] == [(4, "no_time")]


def test_parquets_times_and_decimals(tmp_path: Path) -> None:
    mapping = tmp_path / "old_crm.yaml"
    mapping.write_text(CRM.replace("file: ", "# "))
    words, told = read_mapping(mapping, PLAN)
    rows = [
        {"What": "Won", "When": when, "Mail": "ada@acme.com", "Amount": Decimal("12.50")}
        for when in (datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC), None)
    ]
    spec = SourceSpec(format=Format.MAPPED, mapping=words, file=told)

    (event,), done = imported(parquet(tmp_path / "deals.parquet", rows), spec)

    assert event.occurred_at == AT
    assert event.properties["amount"] == 12.5
    assert [(one.line, one.reason) for one in done.rejects] == [(2, "no_time")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[{}]", "one JSON array"),
        (b"\xff\xfe\x00x,y\n", "neither JSON, CSV in UTF-8 nor Parquet"),
        (b"only one column\n1\n", "has no header"),
        (b"PAR1 and nothing", "is not readable as Parquet"),
        (b"\x1f\x8b and nothing", "cannot read"),
    ],
)
def test_what_is_no_history_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(FileError, match=said):
        inspect_file(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"message": None}, "no `message`"),
        ({"mappings": [{"call": "row", "as": "nothing_known"}]}, "the plan does not have"),
        ({"file": {"time_zone": "Mars"}}, "unknown time zone 'Mars'"),
        ({"file": {"zone": "UTC"}}, "zone"),
        ({"mappings": 3}, "mappings"),
    ],
)
def test_a_mapping_file_that_cannot_work_is_told(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(CRM), **change}))
    with pytest.raises(MappingError, match=said):
        read_mapping(file, PLAN)


def test_the_container_is_seen_and_not_believed(tmp_path: Path) -> None:
    """A CSV that is called .json is still CSV, with a byte order mark too."""
    file = tmp_path / "events.json"
    file.write_bytes(b"\xef\xbb\xbfid,name\n1,2\n")

    found = inspect_file(file)

    assert (found.container, found.columns) == (Container.CSV, ["id", "name"])
    assert FileOptions().delimiter is None
