"""Chunks, journals, rejects: any cut and any interruption give the same set of events."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desireline.events import AliasType
from desireline.identity.aliases import Fragments
from desireline_operate.import_history.chunks import Chunk, chunks
from desireline_operate.import_history.files import Format, inspect_file
from desireline_operate.import_history.formats import SourceSpec
from desireline_operate.import_history.journal import Journal
from desireline_operate.import_history.rows import reader
from desireline_operate.import_history.worker import ChunkResult, Reject
from tests.worlds.history_files import call, gzipped, imported, ndjson, parquet, table

TMP = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
CELLS = st.text(
    st.sampled_from(list("ab0,;\"\n\r'é€ \t")) | st.characters(codec="utf-8"), max_size=12
)


@TMP
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=30),
    size=st.integers(1, 200),
)
def test_csv_is_cut_only_between_records(tmp_path: Path, rows: list[list[str]], size: int) -> None:
    """Given any cells, quotes and line breaks among them, when the file is cut anywhere, then the
    rows are those that Python's reader finds in the whole, each at its line."""
    file = tmp_path / "rows.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([["a", "b", "c"], *rows])
    with file.open(newline="\n") as opened:
        reading = csv.reader(opened)
        next(reading)
        expected, line = [], 2
        for cells in reading:
            expected.append((line, cells))
            line = reading.line_num + 1

    history = inspect_file(file, delimiter=",")
    found = [row for chunk in chunks(history, size=size) for row in reader(history)(chunk)]

    assert [row.raw for row in found] == [cells for _, cells in expected if cells]
    assert [row.line for row in found] == [line for line, cells in expected if cells]


INTEGERS = st.integers(-(2**63), 2**64 - 1)
"""Beyond 64 bits a number is read as the nearest float, as most readers of JSON do."""


@TMP
@given(
    lines=st.lists(
        st.one_of(
            st.dictionaries(st.text(max_size=5), INTEGERS | st.text(max_size=8)).map(
                lambda found: json.dumps({"x": found})
            ),
            st.sampled_from(["", "   ", "{", "[1]", "null", "\\", '{"a": NaN}']),
        ),
        max_size=30,
    ),
    size=st.integers(1, 150),
)
def test_no_line_is_lost_or_seen_twice(tmp_path: Path, lines: list[str], size: int) -> None:
    """Given lines that are JSON, or are not, when the file is cut anywhere, then each that is not
    blank is one row at its line, whole or told to be broken."""
    file = tmp_path / "lines.ndjson"
    file.write_text('{"first": 1}\n' + "\n".join(lines))

    history = inspect_file(file)
    found = [row for chunk in chunks(history, size=size) for row in reader(history)(chunk)]

    kept = [(number, line) for number, line in enumerate(lines, 2) if line.strip()]
    assert [(row.line, row.text) for row in found[1:]] == kept
    for row in found[1:]:
        assert (row.value is None) == bool(row.broken)
        if row.value is not None:
            assert row.value == json.loads(row.text)


@pytest.mark.parametrize("write", [ndjson, gzipped])
@pytest.mark.parametrize("size", [1, 500, 1 << 20])
def test_the_cut_changes_nothing(tmp_path: Path, write: Any, size: int) -> None:
    file = write(tmp_path / "history", [call(n) for n in range(200)])

    events, done = imported(file, size=size)

    assert [event.raw.index for event in events] == list(range(1, 201))
    assert len({event.event_id for event in events}) == 200
    assert not done.rejects


def test_parquets_rows_come_in_portions(tmp_path: Path) -> None:
    rows = [{"n": number, "event_params": [], "event_timestamp": 1} for number in range(4_500)]
    history = inspect_file(parquet(tmp_path / "rows.parquet", rows))

    portions = list(chunks(history))
    found = [row for chunk in portions for row in reader(history)(chunk)]

    assert [(one.number, one.line) for one in portions] == [(0, 1), (1, 2001), (2, 4001)]
    assert [row.value["n"] for row in found] == list(range(4_500))
    assert portions[-1].share == 1.0


def test_a_gzip_that_was_cut_off_is_told(tmp_path: Path) -> None:
    from desireline_operate.import_history.files import FileError

    file = gzipped(tmp_path / "history.gz", [call(n) for n in range(20_000)])
    file.write_bytes(file.read_bytes()[:-2_000])
    history = inspect_file(file)

    with pytest.raises(FileError, match="cannot be read to its end"):
        list(chunks(history))


def test_rows_that_break_a_source_are_set_aside_with_their_line_and_text(tmp_path: Path) -> None:
    """Given lines that are no JSON, no object, not of the plan, of nobody, from the future, without
    a time, then each is told by its reason and is there to be read; the others are taken."""
    file = tmp_path / "history.ndjson"
    odd = [
        orjson.dumps({**call(1), "event": "Unheard Of"}),
        orjson.dumps({**call(2), "userId": "null"}),
        orjson.dumps({**call(3), "timestamp": "2099-01-01T00:00:00Z"}),
        orjson.dumps({**call(4), "timestamp": None}),
        orjson.dumps({**call(5), "context": {"page": []}, "userId": ["x"]}),
    ]
    lines = [orjson.dumps(call(0)), b"{", b"[]", *odd, orjson.dumps(call(9))]
    file.write_bytes(b"\n".join(lines))

    events, done = imported(file, SourceSpec(format=Format.SEGMENT))

    assert [event.raw.index for event in events] == [1, 9]
    assert [(one.line, one.reason) for one in done.rejects] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "unmapped"),
        (5, "no_identity"),
        (6, "future_time"),
        (7, "no_time"),
        (8, "no_identity"),
    ]
    assert [one.text.encode() for one in done.rejects] == lines[1:8]


def test_whoever_does_not_want_it_is_left_out_and_not_set_aside(tmp_path: Path) -> None:
    """Given a suppressed user and one who refused, then neither is taken, nor in the rejects."""
    fragment = Fragments(b"secret").alias(AliasType.USER, "u1")
    assert fragment is not None
    calls = [call(1), call(2), call(8)]
    file = ndjson(tmp_path / "history.ndjson", calls)

    events, done = imported(file, suppressed=frozenset({fragment.fragment}))

    assert [event.raw.index for event in events] == [2]
    assert done.left_out == {"its person does not want it taken, suppressed": 2}
    assert not done.rejects


def test_csv_rows_of_another_width_or_encoding_are_set_aside(tmp_path: Path) -> None:
    rows = [{"id": "1", "received_at": "x", "uuid_ts": "y", "sent_at": "z"}]
    file = table(tmp_path / "tracks.csv", rows)
    with file.open("ab") as opened:
        opened.write(b"1,2\r\n1,\xff,3,4\r\n")

    _, done = imported(file)

    assert [(one.line, one.reason) for one in done.rejects][1:] == [(3, "columns"), (4, "not_utf8")]


def test_a_bare_carriage_return_is_no_csv_and_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n1,2\r3,4\n5,6\n")
    history = inspect_file(file)

    found = [row for chunk in chunks(history) for row in reader(history)(chunk)]

    assert [(row.line, row.broken) for row in found] == [(2, "not_csv"), (3, "")]


def done(number: int, *, rejects: int = 0) -> ChunkResult:
    return ChunkResult(
        number,
        0.5,
        accepted=10,
        rejects=[Reject(n, "unmapped", "x", f'{{"row": {number}}}') for n in range(rejects)],
        left_out=Counter(scroll=1),
    )


def test_a_journal_goes_on_where_a_crash_cut_it_off(tmp_path: Path) -> None:
    """Given a journal whose last line and rejects were cut off at any byte, when it is opened
    again, then whole lines count, the rejects are those of them, and both go on."""
    path, rejects = tmp_path / "j.ndjson", tmp_path / "r.ndjson"
    with Journal(path, rejects) as journal:
        journal.add(done(0, rejects=2))
        first = path.read_bytes(), rejects.read_bytes()
        journal.add(done(2, rejects=1))
    whole = path.read_bytes()

    for cut in range(len(first[0]), len(whole)):
        path.write_bytes(whole[:cut])
        rejects.write_bytes(first[1] + b'{"line": 99, "half')
        with Journal(path, rejects) as journal:
            assert journal.done == {0}
            assert journal.totals.accepted == 10
            journal.add(done(2, rejects=1))
        with Journal(path, rejects) as journal:
            assert journal.done == {0, 2}
            assert not journal.finished
            assert journal.totals.rejected == {"unmapped": 3}
            assert journal.totals.left_out == {"scroll": 2}
        assert [json.loads(line)["row"] for line in rejects.read_text().splitlines()] == [
            '{"row": 0}',
            '{"row": 0}',
            '{"row": 2}',
        ]
        assert rejects.stat().st_mode & 0o077 == 0


def test_a_finished_journal_says_so(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", tmp_path / "r") as journal:
        journal.add(done(0))
        journal.finish()
        journal.finish()
    with Journal(tmp_path / "j", tmp_path / "r") as journal:
        assert journal.finished
        assert journal.totals.accepted == 10
    assert not (tmp_path / "r").exists()


def test_chunks_are_numbered_and_tell_how_far_they_are(tmp_path: Path) -> None:
    history = inspect_file(ndjson(tmp_path / "h.ndjson", [call(n) for n in range(100)]))

    found: list[Chunk] = list(chunks(history, size=2_000))

    assert [one.number for one in found] == list(range(len(found)))
    assert found[-1].share == 1.0
    assert all(0 < one.share <= 1 for one in found)
