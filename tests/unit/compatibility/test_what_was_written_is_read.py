"""What runs outlives what is deployed (delivery rule 16): topics hold messages for a week, tables
their rows for ever, executions their names for months.

`written/` holds messages, rows and names as they were written once. Nothing there is ever changed,
only added to: whoever breaks one of these tests would count events again, lose claims, or set
aside what is on its way.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from desireline import events
from desireline.adapters.dynamodb import item_of, row_of
from desireline.events import AliasType, Message
from desireline.identity.aliases import Fragments
from desireline.identity.trace import subject_of_account
from desireline.intervene.holdout import with_holdout
from desireline.intervene.playbook.triggers import ENROLMENTS, execution_name
from desireline.receive.mapping.canonical import event_id
from desireline.resolve.ids import id_hash, pack
from desireline.resolve.persons import edge_of
from desireline.rows import ROW_TYPES, SubjectRow

WRITTEN = Path(__file__).parent / "written"
MESSAGES: list[tuple[str, Any]] = json.loads((WRITTEN / "messages.json").read_text())
ROWS: list[dict[str, dict[str, Any]]] = json.loads((WRITTEN / "rows.json").read_text())
NAMES: dict[str, Any] = json.loads((WRITTEN / "names.json").read_text())
TRAVEL = {
    name
    for name, kind in vars(events).items()
    if isinstance(kind, type) and issubclass(kind, Message)
}


def named(index: int) -> str:
    return f"{index}-{MESSAGES[index][0]}"


def decoded(name: str, payload: Any) -> Message:
    kind: type[Message] = getattr(events, name)
    return kind.decode(json.dumps(payload).encode())


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where something of `before` is not in `after`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, value in before.items():
            yield from lost(value, after.get(name), f"{path}.{name}")
    elif before != after:
        yield f"{path}: {before!r} is read as {after!r}"


@pytest.mark.parametrize("index", range(len(MESSAGES)), ids=named)
def test_a_message_keeps_all_that_it_said(index: int) -> None:
    name, payload = MESSAGES[index]
    read = json.loads(decoded(name, payload).encode())
    assert list(lost(payload, read)) == []


@pytest.mark.parametrize("index", range(len(MESSAGES)), ids=named)
def test_a_message_of_a_newer_release_is_read_by_this_one(index: int) -> None:
    """Two releases run side by side, and one may be taken back."""
    name, payload = MESSAGES[index]
    assert decoded(name, {**payload, "added_later": {"deep": [1]}}) == decoded(name, payload)


@pytest.mark.parametrize("index", range(len(ROWS)), ids=lambda i: f"{i}-{ROWS[i]['kind']['S']}")
def test_a_row_keeps_all_that_it_held(index: int) -> None:
    item = _stored(ROWS[index])
    read = item_of(row_of(item))
    assert {name: read.get(name) for name in item} == item


@pytest.mark.parametrize("index", range(len(ROWS)), ids=lambda i: f"{i}-{ROWS[i]['kind']['S']}")
def test_a_row_of_a_newer_release_is_read_by_this_one(index: int) -> None:
    item = _stored(ROWS[index])
    assert row_of({**item, "added_later": {"S": "x"}}) == row_of(item)


def test_every_kind_of_message_and_row_is_among_them() -> None:
    whole = {name for name, payload in MESSAGES if payload}
    parts = {"Message", "Alias", "Account", "Stamps", "RawPointer", "Context", "Reason"}
    assert whole == TRAVEL - parts - {"Assessment", "Crossing"}
    assert {item["kind"]["S"] for item in ROWS} == set(ROW_TYPES)


def test_names_that_make_things_single_never_change() -> None:
    """Another id would be another event, another enrolment, another person, another draw."""
    fragments = Fragments(b"a deployment's secret")

    def fragment(kind: AliasType, value: str) -> str:
        alias = fragments.alias(kind, value)
        assert alias is not None
        return alias.fragment

    one, other = (fragment(AliasType.USER, name) for name in ("ada", "grace"))
    assert {
        "event": event_id("segment", "m-1"),
        "counted": id_hash(event_id("segment", "m-1")).hex(),
        "packed": pack({20_000: frozenset({b"12345678", b"abcdefgh"})}).hex(),
        "fragments": {
            kind: fragment(kind, "Ada@Example.com" if kind is AliasType.EMAIL else "Ada-1")
            for kind in AliasType
        },
        "edge": edge_of(one, other),
        "edge_back": edge_of(other, one),
        "account": subject_of_account("group:acme"),
        "enrolments": str(ENROLMENTS),
        "execution": execution_name("integration_first", "6f1c2f0a-7d5e-5a34-9c1b-2a3f0f6d9e41"),
        "held_out": [
            with_holdout(SubjectRow(subject=f"s{number}"), 30).holdout for number in range(12)
        ],
    } == NAMES


def _stored(item: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """JSON has no bytes: they are base64 there."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else dict(value)
        for name, value in item.items()
    }
